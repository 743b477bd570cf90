"""The hash that is kept up with every change."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from app.adapters.neighbours.rows_hash import RowsHash
from app.domain.models import ItemId, Pseudonym

texts = st.text(max_size=4)
rows = st.dictionaries(
    texts.map(Pseudonym), st.lists(texts.map(ItemId), min_size=1, max_size=4), max_size=6
)


def hashed(given_rows: Sequence[tuple[Pseudonym, Sequence[ItemId]]]) -> str:
    found = RowsHash()
    for pseudonym, items in given_rows:
        found.add(pseudonym, items)
    return found.digest()


@given(rows, rows)
def test_who_was_taken_out_leaves_nothing(
    stay: dict[Pseudonym, list[ItemId]], leave: dict[Pseudonym, list[ItemId]]
) -> None:
    found = RowsHash()
    for pseudonym, items in [*leave.items(), *stay.items()]:
        found.add(pseudonym, items)
    for pseudonym, items in leave.items():
        found.remove(pseudonym, items)

    assert found.digest() == hashed(list(stay.items()))


@given(rows)
def test_the_order_of_users_does_not_show(told: dict[Pseudonym, list[ItemId]]) -> None:
    assert hashed(list(told.items())) == hashed(list(told.items())[::-1])


def test_what_is_told_otherwise_has_another_hash() -> None:
    user, a, b = Pseudonym("u"), ItemId("a"), ItemId("b")
    every = [
        [],
        [(user, [a, b])],
        [(user, [b, a])],
        [(user, [ItemId("ab")])],
        [(Pseudonym("ua"), [b])],
        [(user, [a]), (user, [b])],
        [(user, [a, b]), (user, [a, b])],
    ]

    assert len({hashed(told) for told in every}) == len(every)


def test_the_hash_stays_the_same_between_releases() -> None:
    """It stands in certificates and in the table of processes."""
    assert hashed([(Pseudonym("u"), [ItemId("a"), ItemId("\u00e9")])])[:16] == "905f68100d15b625"
