"""The mirrored posting lists and the counts keep their invariants."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.neighbours.gram import Gram
from app.adapters.neighbours.lists import Lists
from app.adapters.neighbours.postings import Postings
from app.adapters.neighbours.state import Slots, State
from app.adapters.neighbours.weighing import Weighing
from app.domain.models import ItemId, Pseudonym

item_sets = st.frozensets(st.integers(0, 9), max_size=10)
steps = st.lists(st.tuples(st.integers(0, 4), item_sets), max_size=30)


def pairs(postings: Postings) -> set[tuple[int, int]]:
    """Return all pairs, after checking that every entry and its twin know each other."""
    users, items = postings.users, postings.items
    found = set()
    for user in range(len(users.length)):
        for at in range(int(users.length[user])):
            item = int(users.cell[users.start[user] + at])
            there = items.start[item] + users.back[users.start[user] + at]
            assert items.cell[there] == user
            assert items.back[there] == at
            found.add((user, item))
    assert int(items.length.sum()) == int(users.length.sum()) == len(found)
    return found


def used_cells(lists: Lists) -> int:
    return int(np.count_nonzero(lists.cell))


@settings(max_examples=200, deadline=None)
@given(steps)
def test_postings_mirror_each_other_after_any_changes(
    changes: list[tuple[int, frozenset[int]]],
) -> None:
    postings = Postings()
    postings.ensure(n_users=5, n_items=10)
    now: dict[int, frozenset[int]] = {}

    for user, wanted in changes:
        had = now.get(user, frozenset())
        if had - wanted:
            postings.remove(user, np.array(sorted(had - wanted)))
        if wanted - had:
            postings.add(user, np.array(sorted(wanted - had)))
        now[user] = wanted
        assert pairs(postings) == {(u, item) for u, items in now.items() for item in items}


def test_no_cell_keeps_what_was_removed() -> None:
    postings = Postings()
    postings.ensure(n_users=3, n_items=50)
    postings.add(1, np.arange(1, 40))
    postings.add(2, np.arange(20, 50))

    postings.remove(1, np.arange(1, 40))
    postings.remove(2, np.arange(20, 50))

    for lists in (postings.users, postings.items):
        assert used_cells(lists) == 0
        assert np.count_nonzero(lists.back) == 0


def test_lists_give_abandoned_places_back() -> None:
    lists = Lists()
    lists.ensure(2)
    one = np.array([0])
    for _ in range(14):
        size = int(lists.length[0]) + 1
        lists.reserve(one, extra=size)
        lists.length[0] += size

    assert len(lists.cell) <= 4 * int(lists.length[0])


def test_slots_are_reused_and_never_show() -> None:
    slots: Slots[ItemId] = Slots()
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
        state.change(Pseudonym(f"u{user}"), removed=(), added=wanted)

    counts = state.counts()

    assert counts is not None
    assert (counts.ordered() == matrix.astype(int).T @ matrix.astype(int)).all()


def test_counts_are_weighed_by_the_length_of_the_list_whatever_the_way_there() -> None:
    weighing = Weighing(regularisation=1.0, is_graded=True)
    state = State(dense_limit=100, weighing=weighing)
    user, items = Pseudonym("u"), [ItemId(f"{item:02}") for item in range(30)]
    state.change(user, removed=(), added=items)
    state.change(Pseudonym("v"), removed=(), added=items[:4])

    state.change(user, removed=items[4:], added=())

    counts = state.counts()
    assert counts is not None
    assert counts.items == items[:4]
    assert (counts.ordered() == 2 * weighing.of_user(4) / 32).all()
    assert counts.degrees.tolist() == [2, 2, 2, 2]


def test_counts_grow_wider_before_they_overflow() -> None:
    gram = Gram(limit=2)
    gram.ensure(2)
    both = np.arange(2)

    for _ in range(3):
        gram.add(both, weight=2**30)
    gram.add(both, weight=-(2**30))

    assert (gram.copied(2) == 2**31).all()


def test_a_user_given_twice_has_the_items_of_both() -> None:
    twice, once = State(dense_limit=10), State(dense_limit=10)
    user, a, b = Pseudonym("u"), ItemId("a"), ItemId("b")

    twice.load([(user, [a]), (user, [a, b]), (Pseudonym("empty"), [])])
    once.load([(user, [a, b])])

    assert twice.frozen().digest() == once.frozen().digest()


def test_any_text_may_be_an_id() -> None:
    state = State(dense_limit=10)

    state.load([(Pseudonym("u"), [ItemId("\ud800"), ItemId("\u00e9"), ItemId("")])])

    assert len(state.frozen().digest()) == 64


def test_memory_is_stated_and_small() -> None:
    state = State(dense_limit=1000)
    state.load((Pseudonym(f"u{n}"), [ItemId(str(n % 500))]) for n in range(2000))

    assert state.nbytes < 2000 * 40 + 500 * 24 + 500 * 500 * 4 + 10_000
