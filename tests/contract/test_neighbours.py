"""The laws of the Neighbours port, on the real adapter, with and without dense counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.neighbours import ExactNeighbours
from app.domain.models import ItemId, Pseudonym
from app.ports.neighbours import Neighbours
from tests.names import called

Histories = dict[Pseudonym, tuple[ItemId, ...]]

USERS = [called(f"user-{number}") for number in range(8)]
ITEMS = [ItemId(f"item-{number}") for number in range(12)]

item_lists = st.lists(st.sampled_from(ITEMS), max_size=8, unique=True).map(tuple)
batches = st.dictionaries(st.sampled_from(USERS), item_lists, max_size=4)
# Limits of the dense counts and of the head. Below 12 items the catalogue crosses the first of
# them in the middle of a sequence.
Limits = tuple[int, int]
WHOLE, HEAD, NONE = (100, 0), (0, 6), (0, 0)
limits = st.sampled_from([WHOLE, HEAD, NONE, (5, 0), (0, 2), (5, 4), (7, 20)])


def built(histories: Mapping[Pseudonym, tuple[ItemId, ...]], *, limits: Limits) -> Neighbours:
    dense, head = limits
    neighbours = ExactNeighbours(
        dense_limit=dense,
        head_limit=head,
        regularisation=3.0,
        is_graded=True,
        recency=0.9,
        order_weight=0.25,
    )
    neighbours.build(histories.items())
    return neighbours


def random_histories(*, n_users: int, n_items: int, seed: int) -> Histories:
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, n_items + 1)
    return {
        Pseudonym(f"{user:064x}"): tuple(
            ItemId(str(item))
            for item in rng.choice(
                n_items, rng.integers(1, 20), p=weights / weights.sum(), replace=False
            )
        )
        for user in range(n_users)
    }


def answers(neighbours: Neighbours, histories: Histories) -> list[object]:
    return [neighbours.recommend(items, top_n=20) for items in histories.values()]


@settings(max_examples=50, deadline=None)
@given(start=batches, limit=limits)
def test_the_hash_of_histories_is_that_of_a_state_built_from_them(
    start: Histories, limit: Limits
) -> None:
    neighbours = built({}, limits=limit)

    hash_of = neighbours.hash_of(start.items())

    assert hash_of == built(start, limits=limit).state_hash(in_full=True)
    assert neighbours.state_hash() == built({}, limits=limit).state_hash()


@settings(max_examples=150, deadline=None)
@given(
    start=batches,
    steps=st.lists(st.tuples(batches, st.booleans(), st.sets(st.sampled_from(USERS))), max_size=8),
    limit=limits,
)
def test_equals_a_rebuild_after_any_changes(
    start: Histories, steps: list[tuple[Histories, bool, set[Pseudonym]]], limit: Limits
) -> None:
    neighbours = built(start, limits=limit)
    now = dict(start)

    for batch, with_refresh, at_once in steps:
        neighbours.apply(batch, at_once=at_once)
        now.update(batch)
        if with_refresh:
            neighbours.refresh()
        rebuilt = built(now, limits=limit)
        assert neighbours.state_hash() == rebuilt.state_hash()
        assert neighbours.state_hash(in_full=True) == rebuilt.state_hash(in_full=True)

    neighbours.refresh()
    fresh = built(now, limits=limit)
    assert neighbours.is_settled()
    assert neighbours.popular(top_n=20) == fresh.popular(top_n=20)
    for history in ([ITEMS[0]], ITEMS[:3], ITEMS[4:7]):
        assert neighbours.recommend(history, top_n=20) == fresh.recommend(history, top_n=20)


@settings(max_examples=60, deadline=None)
@given(start=batches, forgotten=st.sampled_from(USERS), limit=limits)
def test_forgetting_hides_what_only_that_user_had(
    start: Histories, forgotten: Pseudonym, limit: Limits
) -> None:
    neighbours = built(start, limits=limit)

    neighbours.apply({forgotten: ()})

    rest = {user: items for user, items in start.items() if user != forgotten}
    left = {item for items in rest.values() for item in items}
    shown = {scored.item_id for scored in neighbours.recommend(ITEMS[:4], top_n=50)}
    assert shown <= left - set(ITEMS[:4])
    assert {scored.item_id for scored in neighbours.popular(top_n=50)} == left


def test_state_does_not_depend_on_the_order_of_calls() -> None:
    histories = random_histories(n_users=60, n_items=40, seed=1)
    one = built(histories, limits=WHOLE)
    other = built({}, limits=WHOLE)

    for user in sorted(histories, reverse=True):
        other.apply({user: histories[user]})

    assert one.state_hash() == other.state_hash()
    assert one.state_hash(in_full=True) == other.state_hash(in_full=True)


def test_apply_is_idempotent() -> None:
    neighbours = built(random_histories(n_users=10, n_items=40, seed=2), limits=WHOLE)
    change = {called("a"): [ItemId("1"), ItemId("1"), ItemId("2")]}
    neighbours.apply(change)
    state, edition = neighbours.state_hash(), neighbours.edition()

    neighbours.apply(change)

    assert (neighbours.state_hash(), neighbours.edition()) == (state, edition)


def test_an_edition_ends_with_a_removal_or_a_move_and_with_a_refresh() -> None:
    user, first, second = called("a"), ItemId("1"), ItemId("2")
    neighbours = built({}, limits=WHOLE)
    editions = [neighbours.edition()]
    for items in ([first], [second, first], [first, second], [second]):
        neighbours.apply({user: items})
        editions.append(neighbours.edition())
        neighbours.refresh()
        editions.append(neighbours.edition())

    rises = [later > before for before, later in pairwise(editions)]
    assert rises == [False, True, False, True, True, False, True, True]


@pytest.mark.parametrize("limit", [WHOLE, HEAD, NONE])
def test_empty_answers_where_there_is_nothing(limit: Limits) -> None:
    neighbours = built({}, limits=limit)

    assert neighbours.recommend([ItemId("1")], top_n=10) == []
    assert neighbours.popular(top_n=10) == []
    assert neighbours.is_settled()
    assert len(neighbours.state_hash()) == 64


@pytest.mark.parametrize("limit", [WHOLE, HEAD, NONE])
def test_answers_exclude_history_and_exclusions(limit: Limits) -> None:
    histories = random_histories(n_users=60, n_items=40, seed=3)
    neighbours = built(histories, limits=limit)
    history, banned = [ItemId("0"), ItemId("1")], [ItemId("2"), ItemId("3")]

    shown = {s.item_id for s in neighbours.recommend(history, top_n=100, exclude=banned)}
    popular = {s.item_id for s in neighbours.popular(top_n=100, exclude=banned)}

    assert shown
    assert not shown & {*history, *banned}
    assert popular
    assert not popular & set(banned)


@pytest.mark.parametrize("limit", [WHOLE, HEAD, NONE])
def test_ties_are_broken_by_item_id(limit: Limits) -> None:
    same = tuple(map(ItemId, "gbxacf"))
    neighbours = built({called(f"u{n}"): same for n in range(5)}, limits=limit)

    shown = neighbours.recommend([ItemId("g")], top_n=3)
    popular = neighbours.popular(top_n=3)

    assert [scored.item_id for scored in shown] == ["a", "b", "c"]
    assert [scored.item_id for scored in popular] == ["a", "b", "c"]


@pytest.mark.parametrize("limit", [WHOLE, HEAD, NONE])
def test_others_get_what_they_would_get_had_the_user_never_been_there(limit: Limits) -> None:
    histories = random_histories(n_users=150, n_items=90, seed=4)
    neighbours = built(histories, limits=limit)
    forgotten = sorted(histories)[7]

    neighbours.apply({forgotten: ()})
    neighbours.refresh()

    others = {user: items for user, items in histories.items() if user != forgotten}
    assert answers(neighbours, others) == answers(built(others, limits=limit), others)


@pytest.mark.parametrize("limit", [WHOLE, HEAD])
def test_not_settled_from_a_removal_to_its_refresh(limit: Limits) -> None:
    histories = random_histories(n_users=60, n_items=40, seed=5)
    neighbours = built(histories, limits=limit)
    user = min(histories)
    settled = [neighbours.is_settled()]

    neighbours.apply({called("new"): [ItemId("1")]})
    settled.append(neighbours.is_settled())
    neighbours.apply({user: ()})
    settled.append(neighbours.is_settled())
    refreshed = [neighbours.refresh(), neighbours.refresh()]
    settled.append(neighbours.is_settled())

    assert settled == [True, True, False, True]
    assert refreshed == [True, False]


@pytest.mark.parametrize("limit", [WHOLE, HEAD])
def test_what_was_only_written_waits_for_the_refresh_until_its_user_forgets(limit: Limits) -> None:
    histories = random_histories(n_users=60, n_items=40, seed=5)
    neighbours = built(histories, limits=limit)
    user = max(histories, key=lambda one: len(histories[one]))
    now = histories[user][1:]
    settled = list[bool]()

    for at_once in ((), {user}):
        neighbours.apply({user: now}, at_once=at_once)
        settled.append(neighbours.is_settled())
    neighbours.refresh()
    settled.append(neighbours.is_settled())

    assert settled == [True, False, True]
    histories[user] = now
    assert answers(neighbours, histories) == answers(built(histories, limits=limit), histories)


@pytest.mark.parametrize("limit", [WHOLE, HEAD, NONE])
def test_what_is_recent_counts_more(limit: Limits) -> None:
    """Two groups of readers; whoever came from one to the other is shown the new one first."""
    old, new = [tuple(map(ItemId, names)) for names in ("abcdef", "uvwxyz")]
    readers = {called(f"{at}-{n}"): old if at else new for at in range(2) for n in range(9)}
    neighbours = built(readers, limits=limit)

    shown = neighbours.recommend([*new[:3], *old[:3]], top_n=6)

    assert {one.item_id for one in shown[:3]} == set(new[3:])
    assert {one.item_id for one in shown[3:]} == set(old[3:])


@pytest.mark.parametrize("limit", [WHOLE, HEAD, NONE])
def test_what_people_turned_to_next_comes_before_what_they_came_from(limit: Limits) -> None:
    before, asked, after = map(ItemId, "amz")
    others = {called(f"o{n}"): (ItemId("x"), ItemId("y")) for n in range(4)}
    readers = {called(f"r{n}"): (asked, before) for n in range(9)} | {
        called(f"s{n}"): (after, asked) for n in range(9)
    }
    neighbours = built(readers | others, limits=limit)

    in_order = neighbours.recommend([asked], top_n=2)
    in_none = neighbours.recommend([asked], top_n=2, in_sitting=False)

    assert [one.item_id for one in in_order] == [after, before]
    assert [one.item_id for one in in_none] == [before, after]


@settings(max_examples=100, deadline=None)
@given(one=batches, other=batches)
def test_states_have_one_hash_only_where_they_are_equal(one: Histories, other: Histories) -> None:
    one, other = ({user: items for user, items in of.items() if items} for of in (one, other))

    first, second = built(one, limits=NONE), built(other, limits=NONE)

    assert (first.state_hash() == second.state_hash()) == (one == other)


@pytest.mark.parametrize("limit", [WHOLE, HEAD])
def test_what_goes_with_the_disliked_is_repelled_and_what_goes_with_the_liked_is_not(
    limit: Limits,
) -> None:
    sea, crime = [tuple(map(ItemId, names)) for names in ("abc", "xyz")]
    readers = {called(f"{at}-{n}"): sea if at else crime for at in range(2) for n in range(9)}
    neighbours = built(readers, limits=limit)

    alone = neighbours.repelled(liked=(), disliked=crime[:1])
    both = neighbours.repelled(liked=crime[:1], disliked=crime[1:2])
    neighbours.apply({user: () for user, items in readers.items() if items is crime})
    after = neighbours.repelled(liked=(), disliked=crime[:1])

    assert alone == set(crime[1:])
    assert ItemId("z") not in both
    assert not after & set(sea)
    assert neighbours.repelled(liked=sea, disliked=()) == set()


class Some:
    """Some items, in an order that is nobody's; one stands there twice."""

    def __init__(self, among: Collection[ItemId]) -> None:
        self.ids = [ItemId("0"), *ITEMS, *sorted(set(among) - set(ITEMS)), ItemId("0")][::-1]
        first = self.ids.index(ItemId("0"))
        self.mask = np.array([one in among for one in self.ids])
        self.mask[first] = False


@settings(max_examples=60, deadline=None)
@given(
    start=batches,
    limit=limits,
    history=item_lists,
    among=st.sets(st.sampled_from(ITEMS)),
    exclude=st.sets(st.sampled_from(ITEMS), max_size=3),
)
def test_only_some_items_are_returned_in_their_places_when_only_some_are_asked_for(
    *,
    start: Histories,
    limit: Limits,
    history: tuple[ItemId, ...],
    among: set[ItemId],
    exclude: set[ItemId],
) -> None:
    neighbours = built(start, limits=limit)
    for ranked in (
        partial(neighbours.recommend, history, exclude=exclude),
        partial(neighbours.popular, exclude=exclude),
    ):
        whole = ranked(top_n=len(ITEMS))
        for top_n in (1, 3, len(ITEMS)):
            some = ranked(top_n=top_n, among=Some(among))
            kept = [one for one in whole if one.item_id in among][:top_n]
            assert [one[:2] for one in some] == [one[:2] for one in kept]
            scores = [one.score for one in whole]
            assert [one.rank for one in some] == [1 + scores.index(one.score) for one in some]


@pytest.mark.parametrize("n_eligible", [1, 20, 200, 2_000])
def test_few_and_many_items_are_found_when_only_they_are_asked_for(n_eligible: int) -> None:
    histories = random_histories(n_users=300, n_items=2_000, seed=3)
    neighbours = built(histories, limits=NONE)
    chosen = np.random.default_rng(4).choice(2_000, n_eligible, replace=False)
    among = {ItemId(str(one)) for one in chosen}

    whole = neighbours.popular(top_n=2_000)
    some = neighbours.popular(top_n=30, among=Some(among))

    assert [one[:2] for one in some] == [one[:2] for one in whole if one.item_id in among][:30]
