"""EASE on the head of a catalogue, and neighbours for its tail."""

from __future__ import annotations

import numpy as np
import pytest

from app.adapters.neighbours import ExactNeighbours, UserKnn
from app.adapters.neighbours.head import Head
from app.adapters.neighbours.state import State
from app.adapters.neighbours.weighing import Weighing
from app.domain.models import ItemId, Pseudonym, Scored
from tests.names import called

Histories = dict[Pseudonym, tuple[ItemId, ...]]
GRADED = Weighing(regularisation=2.0, is_graded=True)
N_ITEMS, HEAD = 60, 20


def histories(seed: int, *, n_users: int = 120) -> Histories:
    rng = np.random.default_rng(seed)
    popularity = 0.7 / np.sqrt(np.arange(1, N_ITEMS + 1))
    has = rng.random((n_users, N_ITEMS)) < popularity
    return {
        called(f"u{user:03}"): tuple(ItemId(f"{item:03}") for item in np.flatnonzero(row))
        for user, row in enumerate(has)
    }


def neighbours_of(given: Histories, *, dense_limit: int, head_limit: int) -> ExactNeighbours:
    neighbours = ExactNeighbours(
        dense_limit=dense_limit,
        head_limit=head_limit,
        regularisation=2.0,
        is_graded=True,
        knn=UserKnn(n_neighbours=30, length_penalty=0.5, max_cells=100_000),
    )
    neighbours.build(given.items())
    return neighbours


def kept(items: tuple[ItemId, ...], wanted: set[ItemId]) -> tuple[ItemId, ...]:
    return tuple(item for item in items if item in wanted)


def state_of(given: Histories) -> State:
    state = State(dense_limit=0, weighing=GRADED)
    state.load(given.items())
    return state


def most_common(given: Histories, *, count: int) -> list[ItemId]:
    every = [item for items in given.values() for item in items]
    return sorted(sorted(set(every), key=lambda item: (-every.count(item), item))[:count])


def scores(listed: list[Scored]) -> dict[ItemId, float]:
    return {one.item_id: one.score for one in listed}


def test_the_head_is_what_most_users_have_with_ties_by_id() -> None:
    given = histories(1)

    assert Head.of(state_of(given), limit=HEAD).items == most_common(given, count=HEAD)
    even = {called(name): tuple(map(ItemId, "dbca")) for name in "xyz"}
    assert Head.of(state_of(even), limit=2).items == ["a", "b"]


def test_the_head_is_ranked_as_if_there_were_no_tail() -> None:
    """The same bits as EASE on histories that never had an item of the tail."""
    given = histories(2)
    head = set(most_common(given, count=HEAD))
    within = {user: kept(items, head) for user, items in given.items() if kept(items, head)}

    both = neighbours_of(given, dense_limit=0, head_limit=HEAD)
    alone = neighbours_of(within, dense_limit=HEAD, head_limit=0)

    for items in list(given.values())[:40]:
        expected = scores(alone.recommend(kept(items, head), top_n=N_ITEMS))
        found = scores(both.recommend(items, top_n=N_ITEMS))
        assert {item: found[item] for item in expected} == expected


def test_the_tail_is_told_by_neighbours_on_the_scale_of_the_head() -> None:
    given = histories(3)
    head = set(most_common(given, count=HEAD))
    both = neighbours_of(given, dense_limit=0, head_limit=HEAD)
    near = neighbours_of(given, dense_limit=0, head_limit=0)
    history = next(iter(given.values()))

    told = scores(near.recommend(history, top_n=N_ITEMS))
    found = scores(both.recommend(history, top_n=N_ITEMS))

    shared = [item for item in found if item in head and item in told]
    ease = np.maximum([found[item] for item in shared], 0)
    knn = np.array([told[item] for item in shared])
    scale = (ease @ knn) / (knn @ knn)
    tail = {item for item in told if item not in head}
    assert tail
    assert tail == set(found) - head
    for item in tail:
        assert found[item] == pytest.approx(scale * told[item], rel=1e-12)


def test_before_its_refresh_nothing_of_the_removed_is_left() -> None:
    given = histories(4)
    gone = sorted(given)[3:9]
    rest = {user: items for user, items in given.items() if user not in gone}
    neighbours = neighbours_of(given, dense_limit=0, head_limit=HEAD)
    neighbours.apply(dict.fromkeys(gone, ()))
    # The head is still the old one, so the rebuild has to be made of the same items.
    head = set(most_common(given, count=HEAD))
    within = {user: kept(items, head) for user, items in rest.items()}
    fresh = neighbours_of(within, dense_limit=HEAD, head_limit=0)

    for items in list(rest.values())[:30]:
        found = scores(neighbours.recommend(items, top_n=N_ITEMS))
        expected = scores(fresh.recommend(kept(items, head), top_n=N_ITEMS))
        for item, score in expected.items():
            assert found[item] == pytest.approx(score, abs=1e-6)


def test_who_has_nothing_of_the_head_is_told_by_neighbours_alone() -> None:
    given = histories(5)
    tail = sorted(set().union(*given.values()) - set(most_common(given, count=HEAD)))[:3]

    both = neighbours_of(given, dense_limit=0, head_limit=HEAD).recommend(tail, top_n=10)

    assert both
    assert both == neighbours_of(given, dense_limit=0, head_limit=0).recommend(tail, top_n=10)


def test_losing_only_items_of_the_tail_changes_nothing_of_the_head() -> None:
    given = histories(6)
    head = set(most_common(given, count=HEAD))
    user = next(user for user, items in given.items() if set(items) - head and set(items) & head)
    neighbours = neighbours_of(given, dense_limit=0, head_limit=HEAD)
    before = scores(neighbours.recommend(sorted(head)[:4], top_n=N_ITEMS))

    neighbours.apply({user: kept(given[user], head)})

    after = scores(neighbours.recommend(sorted(head)[:4], top_n=N_ITEMS))
    assert {i: s for i, s in after.items() if i in head} == {
        i: s for i, s in before.items() if i in head
    }
    assert not neighbours.is_settled()


def test_a_catalogue_that_shrinks_keeps_its_tail_until_the_refresh() -> None:
    given = histories(7)
    left = set(most_common(given, count=HEAD + 10))
    neighbours = neighbours_of(given, dense_limit=HEAD + 10, head_limit=HEAD)
    now = {user: kept(items, left) for user, items in given.items()}
    neighbours.apply(now)
    neighbours.state_hash(in_full=True)  # counts all pairs again, now that they are few
    user, items = next((user, items) for user, items in now.items() if len(items) > 3)
    neighbours.apply({user: items[:-1]})

    shown = set(scores(neighbours.recommend(items[:3], top_n=N_ITEMS)))

    assert shown - set(most_common(given, count=HEAD))
    neighbours.refresh()
    assert neighbours.recommend(items[:3], top_n=N_ITEMS)
