"""The best of many scores, with ties in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.lists import Ints
from app.domain.models import ItemId, Scored


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
    eyed = scores if eligible is None else np.where(eligible, scores, -np.inf)
    listed = shortlist(eyed, top_n=top_n)
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
