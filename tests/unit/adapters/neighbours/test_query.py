"""What an item of a history counts."""

from __future__ import annotations

from app.adapters.neighbours.query import UNIT, Query
from app.domain.models import ItemId

HISTORY = [ItemId(f"i{n:02}") for n in range(40)]


def weights(*, recency: float, in_sitting: bool) -> list[float]:
    query = Query.of(HISTORY, recency=recency, in_sitting=in_sitting)
    return [weight / UNIT for weight in query.weights.tolist()]


def test_half_of_what_fades_is_left_ten_items_later_and_three_in_a_sitting() -> None:
    later, at_it = (weights(recency=0.5, in_sitting=at) for at in (False, True))

    assert later[0] == at_it[0] == 1
    assert (later[10], at_it[3]) == (0.75, 0.5498046875)
    assert round(at_it[-1], 1) == 0.1


def test_nothing_fades_in_a_sitting_either_when_nothing_is_to_fade() -> None:
    assert {*weights(recency=0, in_sitting=True), *weights(recency=0, in_sitting=False)} == {1}
