"""The best of many scores, with ties in a fixed order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.lists import Ints


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


def best(scores: NDArray[np.float64], *, top_n: int) -> Ints:
    """Return the positions of the ``top_n`` highest scores, ties by position, best first."""
    positions = shortlist(scores, top_n=top_n)
    return positions[np.lexsort((positions, -scores[positions]))][:top_n]
