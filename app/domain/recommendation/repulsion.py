"""What is left out of a list because it is like something that was disliked."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_NEAR: Final = 0.8
"""Least cosine to something disliked; below it the lists of MovieLens 100K get worse."""

Vectors = NDArray[np.float32]


def repelled(candidates: Vectors, *, liked: Vectors, disliked: Vectors) -> NDArray[np.bool_]:
    """Return which candidates a user is not to be shown, by what their texts say, shape (n,).

    Those to which something disliked is near, and nearer than anything liked: of two detective
    stories that are as near the one that was praised decides.

    Args:
        candidates: vectors of unit length, shape (n, dim).
        liked: vectors of what the user likes, shape (m, dim); m may be 0.
        disliked: vectors of what the user dislikes, shape (k, dim); k may be 0.
    """
    if not len(candidates) or not len(disliked):
        return np.zeros(len(candidates), dtype=np.bool_)
    against = (candidates @ disliked.T).max(axis=1)
    is_near: NDArray[np.bool_] = against >= _NEAR
    near = np.flatnonzero(is_near)
    if len(near) and len(liked):
        is_near[near] = against[near] > (candidates[near] @ liked.T).max(axis=1)
    return is_near
