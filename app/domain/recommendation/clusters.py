"""Clusters of items, found from the items alone and never from users."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
_NOTHING: Final = 1e-3
"""A norm below which a difference of unit vectors is rounding."""


def mean_of(vectors: Matrix) -> Matrix:
    """Return the mean, shape (d,), whose bits no order changes: float64 adds a grid exactly."""
    total = vectors.sum(axis=0, dtype=np.float64)
    return np.asarray(total / max(len(vectors), 1), dtype=np.float32)


def telling(vector: Matrix, common: Matrix) -> Matrix:
    """Return what a vector says beyond what all items say, shape (d,), unit norm.

    Texts of one catalogue share a direction (its kind, its words), which tells nothing apart.

    Args:
        vector: shape (d,); returned as it is if it says nothing else.
        common: mean of the items' vectors, shape (d,).

    Source: Mu and Viswanath 2018, "All-but-the-top", with one direction.
    """
    square = float(common @ common)
    if square == 0:
        return vector
    left = vector - (float(vector @ common) / square) * common
    norm = float(np.linalg.norm(left))
    return np.asarray(left / norm, dtype=np.float32) if norm > _NOTHING else vector


def spherical_k_means(vectors: Matrix, *, k: int, rounds: int = 10) -> Matrix:
    """Return up to ``k`` cluster centres of unit vectors, shape (k', d), unit norm.

    Nothing is drawn: the first centre is the vector nearest to the mean, each further one the
    vector farthest from all before (Gonzalez 1985), then Lloyd's rounds by cosine. The same
    vectors in the same order give the same centres.

    Args:
        vectors: shape (n, d), unit norm; returned as they are if there are none.
        k: most centres, >= 1; duplicates among the vectors make fewer.
        rounds: of assignment and mean, >= 0.

    Source: Dhillon and Modha 2001.
    """
    if not len(vectors):
        return vectors
    centres = vectors[[int(np.argmax(vectors @ vectors.mean(axis=0)))]]
    while len(centres) < min(k, len(vectors)):
        nearness = (vectors @ centres.T).max(axis=1)
        farthest = int(np.argmin(nearness))
        if nearness[farthest] > 1 - 1e-6:
            break
        centres = np.vstack([centres, vectors[farthest]])
    for _ in range(rounds):
        of = nearest(centres, vectors)
        sums = np.stack([vectors[of == number].sum(axis=0) for number in range(len(centres))])
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(norms > 0, sums / np.maximum(norms, 1e-12), centres)
    return np.asarray(centres, dtype=np.float32)


def nearest(centres: Matrix, vectors: Matrix) -> NDArray[np.int64]:
    """Return the number of the centre nearest to each vector, shape (n,); 0 without centres."""
    if len(centres) == 0 or len(vectors) == 0:
        return np.zeros(len(vectors), dtype=np.int64)
    return np.asarray(np.argmax(vectors @ centres.T, axis=1), dtype=np.int64)
