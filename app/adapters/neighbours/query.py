"""What a list is asked for: a history in which what is recent counts more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Self

import numpy as np

from app.adapters.neighbours.lists import Ints
from app.domain.models import ItemId

UNIT: Final = 1024
"""Weights of a history's items are integers in this unit: sums of them depend on no order."""

_HALF_LIFE: Final = 10.0
"""Newer items after which half of what fades is left."""
_AT_IT: Final = (0.9, 3.0)
"""The share that fades and the half-life for somebody who is at it. On the validation part of
MovieLens 100K half-lives of 2 and 3 with the order at .5 find the next item best."""


@dataclass(frozen=True, slots=True)
class Query:
    """A history, and what must not be listed.

    Args:
        items: distinct, newest first.
        weights: what each counts, in ``UNIT``, shape (len(items),).
        never: what must not be listed besides the history.
    """

    items: Sequence[ItemId]
    weights: Ints
    never: Collection[ItemId] = ()

    @classmethod
    def of(
        cls,
        history: Sequence[ItemId],
        *,
        recency: float,
        in_sitting: bool = False,
        never: Collection[ItemId] = (),
    ) -> Self:
        """Return the query of a history, newest first; of an item given twice the first counts.

        Item k counts 1 - recency + recency * 2^(-k / 10), k = 0 for the newest; in a sitting
        .1 + .9 * 2^(-k / 3), unless ``recency`` is 0.
        """
        items = list(dict.fromkeys(history))
        fading, half_life = _AT_IT if in_sitting and recency else (recency, _HALF_LIFE)
        weights = [_weight(k, fading, half_life) for k in range(len(items))]
        return cls(items, np.array(weights, dtype=np.int64), never)

    def known(self, number: Mapping[ItemId, int]) -> tuple[Ints, Ints]:
        """Return the numbers, ascending, of the items that have one, and their weights."""
        places = [at for at, item in enumerate(self.items) if item in number]
        numbers = np.array([number[self.items[at]] for at in places], dtype=np.int64)
        order = np.argsort(numbers)
        return numbers[order], self.weights[places][order]


@cache
def _weight(place: int, fading: float, half_life: float) -> int:
    return round(UNIT * (1 - fading + fading * 2 ** (-place / half_life)))
