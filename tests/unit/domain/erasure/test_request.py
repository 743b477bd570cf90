"""The table of transitions and the list of steps say the same as what is derived from them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from app.domain.audit.entries import LeafKind
from app.domain.erasure.request import (
    FINAL,
    STATE_OF_LEAF,
    TRANSITIONS,
    WORKABLE,
    RequestState,
    Step,
    leaf_of,
)
from app.domain.errors import IllegalMoveError
from app.services.erasure.steps import STEPS


def test_a_leaf_tells_one_state() -> None:
    assert {(leaf, target) for (_, target), leaf in TRANSITIONS.items()} == set(
        STATE_OF_LEAF.items()
    )


def test_every_state_is_entered_and_nothing_leads_out_of_the_final_ones() -> None:
    assert {target for _, target in TRANSITIONS} == set(RequestState)
    assert {RequestState.COMPLETED, RequestState.REJECTED} == FINAL


def test_a_transition_that_the_table_lacks_is_refused() -> None:
    assert leaf_of(source=RequestState.FAILED, target=RequestState.ERASING) is (
        LeafKind.FORGET_ERASING
    )
    with pytest.raises(IllegalMoveError):
        leaf_of(source=RequestState.ERASING, target=RequestState.REJECTED)


def test_the_list_holds_every_step_once_in_the_order_of_the_journal() -> None:
    assert [definition.step for definition in STEPS] == list(Step)


def test_what_to_look_for_is_collected_before_anything_is_destroyed_and_searched_for_last() -> None:
    order = [definition.step for definition in STEPS]

    assert order.index(Step.COLLECT) < min(order.index(Step.MEMORY), order.index(Step.KEYS))
    assert order[-1] is Step.PROBE
    assert STEPS[-1].is_repeated


def test_states_are_entered_on_the_way_of_a_request() -> None:
    entered = [RequestState.SUPPRESSED, *(s for one in STEPS for s in one.enters)]

    assert all(pair in TRANSITIONS for pair in pairwise(entered))
    assert set(entered) == WORKABLE
