"""The mirrored posting lists and the counts keep their invariants."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.neighbours.directed import successors
from app.adapters.neighbours.gram import Gram
from app.adapters.neighbours.lists import Lists
from app.adapters.neighbours.postings import Postings
from app.adapters.neighbours.query import Query
from app.adapters.neighbours.slots import Slots
from app.adapters.neighbours.state import State
from app.adapters.neighbours.weighing import Weighing
from app.domain.models import ItemId
from tests.names import called

item_lists = st.lists(st.integers(0, 9), max_size=10, unique=True)
steps = st.lists(st.tuples(st.integers(0, 4), item_lists), max_size=30)


def by_item(postings: Postings) -> dict[tuple[int, int], int]:
    """Return the place of each pair as the items' lists tell it."""
    items, found = postings.items, dict[tuple[int, int], int]()
    for item in range(len(items.length)):
        users, places = (column[items.places(item)].tolist() for column in items.columns)
        found |= {(user, item): place for user, place in zip(users, places, strict=True)}
    return found


@settings(max_examples=200, deadline=None)
@given(steps)
def test_postings_tell_the_order_from_both_sides_after_any_changes(
    changes: list[tuple[int, list[int]]],
) -> None:
    postings = Postings()
    postings.ensure(n_users=5, n_items=10)
    now: dict[int, list[int]] = {}

    for user, wanted in changes:
        postings.replace(user, np.array(wanted, dtype=np.int64))
        now[user] = wanted
        assert {one: postings.users.of(one).tolist() for one in now} == now
        assert by_item(postings) == {
            (one, item): place for one, items in now.items() for place, item in enumerate(items)
        }
        for lists in (postings.users, postings.items):
            entries = int(lists.length.sum())
            assert entries == sum(map(len, now.values()))
            assert all(np.count_nonzero(column) <= entries for column in lists.columns)


def test_no_cell_keeps_what_was_removed() -> None:
    postings = Postings()
    postings.ensure(n_users=3, n_items=50)
    postings.replace(1, np.arange(1, 40))
    postings.replace(2, np.arange(20, 50))

    postings.replace(1, np.arange(0))
    postings.replace(2, np.arange(0))

    for lists in (postings.users, postings.items):
        assert all(np.count_nonzero(column) == 0 for column in lists.columns)


def test_lists_give_abandoned_places_back() -> None:
    lists = Lists.empty(n_columns=1)
    lists.ensure(2)
    one = np.array([0])
    for _ in range(14):
        size = int(lists.length[0]) + 1
        lists.reserve(one, extra=size)
        lists.length[0] += size

    assert len(lists.columns[0]) <= 2 * int(lists.length[0])


def test_a_pair_takes_eight_bytes_and_a_user_fewer_than_sixty() -> None:
    state = State(dense_limit=0)
    state.load(
        (called(f"u{n}"), [ItemId(str((n + k) % 50)) for k in range(14)]) for n in range(5_000)
    )

    assert state.postings.nbytes == 8 * 70_000 + 16 * (5_000 + 50)
    assert state.users.nbytes < 43 * 5_000


@pytest.mark.parametrize("n_items", [65_536, 65_537, 70_000])
def test_numbers_that_need_four_bytes_get_them(n_items: int) -> None:
    """Of items, and of places in a list; loaded or put in one by one."""
    long, short = np.arange(n_items)[::-1], np.array([n_items - 1, 3])
    loaded, told = Postings(), Postings()
    loaded.load(
        np.concatenate([long, short]).astype(np.int32),
        lengths=np.array([n_items, 2]),
        n_items=n_items,
    )
    told.ensure(n_users=2, n_items=10)
    told.replace(1, np.array([3]))
    told.ensure(n_users=2, n_items=n_items)
    told.replace(0, long)
    told.replace(1, short)

    for postings in (loaded, told):
        assert (postings.users.of(0) == long).all()
        assert (postings.users.of(1) == short).all()
        entries = {
            item: {tuple(column[postings.items.places(item)].tolist()) for column in columns}
            for item in (0, 3, n_items - 1)
            for columns in [postings.items.columns]
        }
        assert entries == {
            0: {(0,), (n_items - 1,)},
            3: {(0, 1), (n_items - 4, 1)} if postings is loaded else {(1, 0), (1, n_items - 4)},
            n_items - 1: {(0, 1), (0, 0)},
        }
    assert loaded.nbytes == (8 if n_items == 65_536 else 12) * (n_items + 2) + 16 * (2 + n_items)


@settings(max_examples=60, deadline=None)
@given(st.lists(item_lists, min_size=1, max_size=8), st.lists(st.integers(0, 9), max_size=4))
def test_directed_counts_are_those_of_their_definition(
    histories: list[list[int]], history: list[int]
) -> None:
    state = State(dense_limit=0)
    state.load((called(f"u{at}"), names(items)) for at, items in enumerate(histories))
    degree = Counter(item for items in histories for item in items)

    found = successors(state, Query.of(names(history), recency=0.0))

    for wanted in degree:
        expected = 0.0
        for k, item in enumerate(dict.fromkeys(history)):
            # Lists come newest first: what follows an item stands before it.
            gaps = [
                items.index(item) - items.index(wanted)
                for items in histories
                if item in items and wanted in items
            ]
            counted = sum(round(32 * 0.8 ** (gap - 1)) for gap in gaps if 1 <= gap <= 10)
            expected += 2 ** (-k / 2) * counted / (degree[item] ** 0.9 * degree[wanted] ** 0.1 + 20)
        slot = state.items.number[ItemId(str(wanted))]
        assert found[slot] == pytest.approx(expected, rel=1e-12)


def names(items: list[int]) -> list[ItemId]:
    return [ItemId(str(item)) for item in items]


def test_slots_are_reused_and_never_show() -> None:
    slots = Slots()
    for name in "abc":
        slots.take(ItemId(name))

    slots.drop(slots.number[ItemId("b")])
    slots.take(ItemId("d"))

    assert slots.in_order()[0] == ["a", "c", "d"]
    assert len(slots.key) == 3


def test_counts_are_the_product_of_the_interaction_matrix() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.random((40, 30)) < np.linspace(0.05, 0.9, 30)
    state = State(dense_limit=100)
    for user, row in enumerate(matrix):
        wanted = {ItemId(f"{item:02}") for item in np.flatnonzero(row)}
        state.set_user(called(f"u{user}"), sorted(wanted))

    counts = state.counts()

    assert counts is not None
    assert (counts.ordered() == matrix.astype(int).T @ matrix.astype(int)).all()


def test_counts_are_weighed_by_the_length_of_the_list_whatever_the_way_there() -> None:
    weighing = Weighing(regularisation=1.0, is_graded=True)
    state = State(dense_limit=100, weighing=weighing)
    user, items = called("u"), [ItemId(f"{item:02}") for item in range(30)]
    state.set_user(user, items)
    state.set_user(called("v"), items[:4])

    state.set_user(user, items[:4])

    counts = state.counts()
    assert counts is not None
    assert counts.items == items[:4]
    assert (counts.ordered() == 2 * weighing.of_user(4) / 32).all()
    assert counts.degrees.tolist() == [2, 2, 2, 2]


def test_counts_are_those_of_a_build_while_a_long_list_changes_by_an_item() -> None:
    """Only the pairs of that item change, as long as the user's weight stays."""
    weighing = Weighing(regularisation=1.0, is_graded=True)
    state, user = State(dense_limit=200, weighing=weighing), called("u")
    items = [ItemId(f"{item:03}") for item in range(120)]
    lists = [items[:110], items[:111], items[1:112], items[3:112], items[40:], items[40:118]]
    state.set_user(called("v"), items[:60])

    for wanted in lists:
        state.set_user(user, wanted)
        built = State(dense_limit=200, weighing=weighing)
        built.load([(user, wanted), (called("v"), items[:60])])
        found, expected = state.counts(), built.counts()
        assert found is not None
        assert expected is not None
        assert found.items == expected.items
        assert (found.ordered() == expected.ordered()).all()


def test_counts_grow_wider_before_they_overflow() -> None:
    gram = Gram(limit=2)
    gram.ensure(2)
    both = np.arange(2)

    for _ in range(3):
        gram.add(both, weight=2**30)
    gram.add(both, weight=-(2**30))

    assert (gram.copied(2) == 2**31).all()


def test_of_a_user_given_twice_the_first_counts() -> None:
    twice, once = State(dense_limit=10), State(dense_limit=10)
    user, a, b = called("u"), ItemId("a"), ItemId("b")

    twice.load([(user, [a, b, a]), (user, [b]), (called("empty"), [])])
    once.load([(user, [a, b])])

    assert twice.frozen().digest() == once.frozen().digest()


def test_the_order_of_a_users_items_is_part_of_the_state() -> None:
    one, other = State(dense_limit=10), State(dense_limit=10)
    user, a, b = called("u"), ItemId("a"), ItemId("b")

    one.load([(user, [a, b])])
    other.load([(user, [b, a])])

    assert one.frozen().digest() != other.frozen().digest()
    other.set_user(user, [a, b])
    assert one.frozen().digest() == other.frozen().digest()


def test_an_item_swapped_for_a_new_one_needs_no_more_counts() -> None:
    """At the limit of the dense counts a slot must be free before it is taken."""
    state = State(dense_limit=3)
    state.set_user(called("u"), [ItemId("a"), ItemId("b"), ItemId("c")])

    state.set_user(called("u"), [ItemId("d"), ItemId("b"), ItemId("c")])

    counts = state.counts()
    assert counts is not None
    assert counts.items == ["b", "c", "d"]


def test_any_text_may_be_an_id() -> None:
    state = State(dense_limit=10)

    state.load([(called("u"), [ItemId("\ud800"), ItemId("\u00e9"), ItemId("")])])

    assert len(state.frozen().digest()) == 64


def test_memory_is_stated_and_small() -> None:
    state = State(dense_limit=1000)
    state.load((called(f"u{n}"), [ItemId(str(n % 500))]) for n in range(2000))

    assert state.nbytes < 2000 * 72 + 500 * 24 + 500 * 500 * 4 + 10_000


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.integers(0, 8), item_lists, max_size=8),
    st.lists(st.tuples(st.integers(0, 9), item_lists, st.integers(0, 3)), max_size=12),
)
def test_users_loaded_at_once_are_hashed_in_parts_whatever_changes_meanwhile(
    start: dict[int, list[int]], changes: list[tuple[int, list[int], int]]
) -> None:
    """The same state and hash as users put in one by one, at each moment and at the end."""
    loaded, one_by_one = State(dense_limit=100), State(dense_limit=100)
    loaded.load((called(f"u{user}"), names(items)) for user, items in start.items())
    for user, items in start.items():
        one_by_one.set_user(called(f"u{user}"), names(items))
    assert loaded.frozen().digest() == one_by_one.frozen().digest()

    for user, items, n_users in changes:
        loaded.hash_some(n_users)
        had = loaded.set_user(called(f"u{user}"), names(items))
        assert had == one_by_one.set_user(called(f"u{user}"), names(items))

    while not loaded.hash_some(2):
        pass
    assert loaded.rows.digest() == one_by_one.rows.digest()
    assert loaded.frozen().digest() == one_by_one.frozen().digest()
