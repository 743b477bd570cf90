"""Weighted matrix factorisation by alternating least squares.

The sharded methods partition with its vectors, and give a user a vector in a model that was
trained without that user. Source: Hu, Koren, Volinsky, ICDM 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import Ints
from benchmarks.unlearning.protocol import Interactions

Vectors = NDArray[np.floating]

_AT_ONCE: Final = 256


def fold_in(
    others: Vectors, histories: Sequence[Ints], *, unobserved: float, decay: float
) -> NDArray[np.float64]:
    """Return the vector that fits each history best to fixed vectors of the other side.

    Minimises sum_seen (1 - x.q)^2 + unobserved * sum_unseen (x.q)^2 + decay * |x|^2. Each row
    depends on its own history and on ``others`` alone, bit for bit.

    Args:
        others: q, shape (n, d).
        histories: for each row of the result, which of ``others`` it has seen.
        unobserved: weight of what was not seen, in [0, 1].
        decay: > 0.
    """
    fixed = np.asarray(others, dtype=np.float64)
    dim = fixed.shape[1]
    base = unobserved * (fixed.T @ fixed) + decay * np.eye(dim)
    found = np.zeros((len(histories), dim))
    for begin in range(0, len(histories), _AT_ONCE):
        block = histories[begin : begin + _AT_ONCE]
        seen = [fixed[history] for history in block]
        left = np.stack([base + (1 - unobserved) * (rows.T @ rows) for rows in seen])
        right = np.stack([rows.sum(0) for rows in seen])
        found[begin : begin + _AT_ONCE] = np.linalg.solve(left, right[..., None])[..., 0]
    return found


def factors(
    train: Interactions,
    *,
    dim: int = 32,
    sweeps: int = 8,
    unobserved: float = 0.1,
    decay: float = 5.0,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return user and item vectors, shapes (n_users, dim) and (n_items, dim)."""
    items = 0.1 * np.random.default_rng(seed).standard_normal((train.n_items, dim))
    order = np.argsort(train.items, kind="stable")
    audiences = np.split(train.users[order], np.cumsum(train.degrees)[:-1])
    for _ in range(sweeps):
        users = fold_in(items, train.histories, unobserved=unobserved, decay=decay)
        items = fold_in(users, audiences, unobserved=unobserved, decay=decay)
    return users, items
