"""The best of many scores, with ties in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.lists import Ints
from app.domain.models import ItemId, Scored

_FEW: Final = 16
"""Where fewer than one item in so many may be returned, these are looked up one by one."""


def shortlist(scores: NDArray[np.float64], *, top_n: int) -> Ints:
    """Return the positions of all scores that are at least the ``top_n``-th best.

    More than ``top_n`` where scores are tied at the border, so that the caller can break
    the tie. Positions with a score of -inf are never returned. Order: ascending position.
    """
    if top_n < 1 or not len(scores):
        return np.zeros(0, dtype=np.int64)
    eligible = scores > -np.inf
    if top_n < len(scores):
        border = np.partition(scores, len(scores) - top_n)[len(scores) - top_n]
        eligible &= scores >= border
    return np.flatnonzero(eligible)


def best_items(
    scores: NDArray[np.float64],
    *,
    top_n: int,
    among: Collection[ItemId] | None,
    name: Callable[[int], ItemId],
    numbers: Callable[[Iterable[ItemId]], Ints],
) -> list[Scored]:
    """Return the ``top_n`` items of the highest scores, ties by id; none with a score of -inf.

    Args:
        scores: by position.
        top_n: how many.
        among: the only items to return, each with its rank among all; None for all.
        name: returns the id at a position.
        numbers: returns the positions of those of the ids that have one, in any order.
    """
    if among is None:
        listed: Iterable[int] = shortlist(scores, top_n=top_n).tolist()
    elif len(among) * _FEW <= len(scores):
        few = numbers(among)
        listed = few[shortlist(scores[few], top_n=top_n)].tolist()
    else:
        listed = _listed(scores, top_n=top_n, among=among, name=name)
    ranked = sorted((-float(scores[at]), name(at)) for at in listed)[:top_n]
    if among is None or not ranked:
        return [Scored(item, -score) for score, item in ranked]
    above = np.sort(scores[scores >= -ranked[-1][0]])
    places = len(above) - np.searchsorted(above, [-one[0] for one in ranked], side="right") + 1
    return [
        Scored(item, -score, rank)
        for (score, item), rank in zip(ranked, places.tolist(), strict=True)
    ]


def _listed(
    scores: NDArray[np.float64],
    *,
    top_n: int,
    among: Collection[ItemId],
    name: Callable[[int], ItemId],
) -> list[int]:
    """Return the best of ``among``, at least ``top_n`` if there are, from ever longer lists."""
    width = max(2 * top_n * len(scores) // len(among), top_n)
    while True:
        longer = shortlist(scores, top_n=width).tolist()
        found = [at for at in longer if name(at) in among]
        if len(found) >= top_n or width >= len(scores):
            return found
        width *= 8
