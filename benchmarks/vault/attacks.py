"""Ways to read vectors that were left over, by someone who knows every catalogue text.

The attacker has the embedder, hence the vector of every catalogue item, and the stored vectors of
one user. Some also know the texts behind k of the stored vectors. None has the user's key.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import hadamard

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNKNOWN: Final = -1
_SAME_COSINE: Final = 6e-5
"""The store keeps 12 bits of each coordinate, which moves a cosine by some 1e-5."""
_GOOD_FIT: Final = 0.999
_SWEEPS: Final = 50


def nearest(stored: Floats, catalogue: Floats) -> Ints:
    """Guess, for each stored vector, the catalogue item with the largest cosine.

    Args:
        stored: shape (m, dim).
        catalogue: shape (n, dim), unit norm.

    Returns:
        Places in the catalogue, shape (m,).
    """
    return np.asarray(np.argmax(stored @ catalogue.T, axis=1), dtype=np.int64)


def by_geometry(stored: Floats, catalogue: Floats) -> Ints:
    """Guess from the cosines among the stored vectors alone, with no text known.

    Every pair of catalogue items with the cosine of the first two stored vectors is tried; of
    each further vector, items are kept whose cosines to both fit. The first way to explain all of
    them is the guess.

    Returns:
        Places in the catalogue, or UNKNOWN everywhere where nothing fits.
    """
    mine, theirs = stored @ stored.T, catalogue @ catalogue.T
    np.fill_diagonal(theirs, np.inf)  # no item is remembered twice here
    for first, second in np.argwhere(np.abs(theirs - mine[0, 1]) < _SAME_COSINE):
        found = _extended(mine, theirs, first=int(first), second=int(second))
        if found is not None:
            return found
    return np.full(len(stored), UNKNOWN)


def _extended(mine: Floats, theirs: Floats, *, first: int, second: int) -> Ints | None:
    places = [first, second]
    for number in range(2, len(mine)):
        off = np.abs(theirs[places] - mine[: len(places), number][:, None]).max(axis=0)
        best = int(np.argmin(off))
        if off[best] > _SAME_COSINE:
            return None
        places.append(best)
    return np.array(places)


def rotation_by_least_squares(known: Floats, stored: Floats) -> Floats:
    """Return the orthogonal matrix that best takes ``known`` to ``stored`` (Procrustes).

    Args:
        known: vectors of k texts, shape (k, dim).
        stored: their stored forms, shape (k, dim).

    Returns:
        R of shape (dim, dim) with ``known @ R`` nearest to ``stored``.

    Source: Schoenemann, Psychometrika 31, 1966.
    """
    left, _, right = np.linalg.svd(known.T @ stored)
    return np.asarray(left @ right)


def rotation_by_signs(
    known: Floats, stored: Floats, *, rng: np.random.Generator, restarts: int
) -> tuple[Floats, float]:
    """Return the three rounds of signs that best take ``known`` to ``stored``.

    The transform is H S3 H S2 H S1 with the Walsh-Hadamard matrix H, which everybody knows, and
    diagonal signs S. Two of the three given, the third is a sum's sign, so they are improved in
    turn from random starts. Fewer pairs do than least squares takes, because 3 dim bits are
    looked for and not a matrix.

    Args:
        known: vectors of k texts, shape (k, dim), dim a power of two.
        stored: their stored forms.
        rng: for the starts.
        restarts: starts at most.

    Returns:
        R as above, and its mean cosine over the known pairs.
    """
    dim = known.shape[1]
    mixing = hadamard(dim).astype(np.float64) / np.sqrt(dim)
    best_fit, best = -1.0, np.eye(dim)
    for _ in range(restarts):
        signs = _descend(known.T, mixing @ stored.T, mixing, rng=rng)
        rotation = mixing @ (signs[2][:, None] * mixing) @ (signs[1][:, None] * mixing) * signs[0]
        fit = float(np.mean(np.sum((known @ rotation.T) * stored, axis=1)))
        if fit > best_fit:
            best_fit, best = fit, rotation.T
        if best_fit > _GOOD_FIT:
            break
    return best, best_fit


def _descend(
    known: Floats, unmixed: Floats, mixing: Floats, *, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Improve the three sign vectors in turn until none changes; columns are vectors here."""
    first, second, third = (rng.choice([-1.0, 1.0], len(known)) for _ in range(3))
    for _ in range(_SWEEPS):
        before = (first, second)
        once = mixing @ (first[:, None] * known)
        third = _signs(unmixed, mixing @ (second[:, None] * once))
        back = mixing @ (third[:, None] * unmixed)
        second = _signs(back, once)
        first = _signs(mixing @ (second[:, None] * back), known)
        if np.array_equal(before[0], first) and np.array_equal(before[1], second):
            break
    return first, second, third


def _signs(left: Floats, right: Floats) -> Floats:
    return np.where(np.sum(left * right, axis=1) < 0, -1.0, 1.0)
