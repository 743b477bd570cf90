"""The best of many scores, with ties in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.lists import Ints
from app.domain.models import ItemId, Scored


def shortlist(
    scores: NDArray[np.float64], *, top_n: int, eligible: NDArray[np.bool_] | None = None
) -> Ints:
    """Return the positions of all scores that are at least the ``top_n``-th best.

    More than ``top_n`` where scores are tied at the border, so that the caller can break
    the tie. Positions with a score of -inf are never returned. Order: ascending position.

    Args:
        scores: of each position.
        top_n: how many.
        eligible: which may be returned; None for all.
    """
    if top_n < 1:
        return np.zeros(0, dtype=np.int64)
    can_be = scores > -np.inf
    if eligible is not None:
        can_be &= eligible
    n_left = int(np.count_nonzero(can_be))
    if top_n < n_left:
        # Many equal values cost a partition ten times as much, so few are taken out before it.
        is_few = 2 * n_left <= len(scores)
        left = scores[np.flatnonzero(can_be)] if is_few else np.where(can_be, scores, -np.inf)
        border = np.partition(left, len(left) - top_n)[len(left) - top_n]
        can_be &= scores >= border
    return np.flatnonzero(can_be)


def best_items(
    scores: NDArray[np.float64],
    items: Sequence[ItemId],
    *,
    top_n: int,
    eligible: NDArray[np.bool_] | None,
) -> list[Scored]:
    """Return the ``top_n`` items of the highest scores, ties by id; none with a score of -inf.

    Args:
        scores: of each item.
        items: ids, ascending.
        top_n: how many.
        eligible: which may be returned, each with its rank among all; None for all.
    """
    listed = shortlist(scores, top_n=top_n, eligible=eligible)
    # Stable, so that ties stay in the order of the ids.
    best = listed[np.argsort(-scores[listed], kind="stable")[:top_n]]
    found = scores[best]
    places = np.zeros(len(best), dtype=np.int64)
    if eligible is not None and len(best):
        above = np.sort(scores[scores > found[-1]])
        places = len(above) - np.searchsorted(above, found, side="right") + 1
    return [
        Scored(items[at], score, rank)
        for at, score, rank in zip(best.tolist(), found.tolist(), places.tolist(), strict=True)
    ]
