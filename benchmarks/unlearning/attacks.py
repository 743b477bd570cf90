"""Membership inference: whether forgotten pairs are told from pairs that never were."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np

from benchmarks.data import Ints
from benchmarks.unlearning.lists import Doubles
from benchmarks.unlearning.protocol import Floats, Interactions

_BLOCK = 512


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """Forgotten pairs, each with a pair that never was.

    Args:
        users: of both pairs, shape (n,).
        members: the forgotten item.
        others: an item that the user never had, in no part of the data, about as popular.
    """

    users: Ints
    members: Ints
    others: Ints


def probes(
    gone: Interactions, *, ever: Interactions, left: Interactions, limit: int, seed: int
) -> Probes:
    """Match every forgotten pair (at most ``limit``, drawn at random) with one that never was.

    Of the items that the user never had the nearest in number of users is taken, ties at random,
    each at most once a user. The same user on both sides matches activity.

    Args:
        gone: what was forgotten.
        ever: everything that ever happened, all parts.
        left: what a retrained system knows: popularity is counted there.
        limit: pairs at most.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(gone))[:limit])
    order = np.lexsort((rng.random(left.n_items), left.degrees))
    others = np.empty(len(chosen), dtype=np.int64)
    free_of: dict[int, list[int]] = {}
    for row, pair in enumerate(chosen.tolist()):
        user, item = int(gone.users[pair]), int(gone.items[pair])
        if user not in free_of:
            had = ever.histories[user] if user < ever.n_users else gone.histories[user]
            free_of[user] = order[~np.isin(order, had)].tolist()
        others[row] = _take(free_of[user], left.degrees, int(left.degrees[item]))
    return Probes(gone.users[chosen], gone.items[chosen], others)


def _take(free: list[int], degrees: Ints, degree: int) -> int:
    """Take out the item of nearest degree; ``free`` is ascending by degree."""
    at = bisect_left(free, degree, key=lambda item: int(degrees[item]))
    near = [one for one in (at, at - 1) if 0 <= one < len(free)]
    return free.pop(min(near, key=lambda one: abs(int(degrees[free[one]]) - degree)))


def probe(scores: Callable[[Ints], Floats], asked: Probes) -> tuple[Doubles, Doubles]:
    """Return the scores of members and of others, standardised user by user."""
    members, others = np.empty(len(asked.users)), np.empty(len(asked.users))
    users = np.unique(asked.users)
    for begin in range(0, len(users), _BLOCK):
        block = users[begin : begin + _BLOCK]
        found = _standard(np.array(scores(block), dtype=np.float64))
        mine = np.flatnonzero(np.isin(asked.users, block))
        rows = np.searchsorted(block, asked.users[mine])
        members[mine] = found[rows, asked.members[mine]]
        others[mine] = found[rows, asked.others[mine]]
    return members, others


def _standard(scores: Doubles) -> Doubles:
    """Return scores with mean 0 and deviation 1 by user.

    Items never shown (-inf) get the user's lowest, those known for certain (inf) more than any.
    """
    found = np.zeros_like(scores)
    for row, values in enumerate(scores):
        shown = np.isfinite(values)
        if not shown.any():
            continue
        centred = values[shown] - values[shown].mean()
        deviation = centred.std()
        found[row] = np.nan
        found[row, shown] = centred / (deviation if deviation > 0 else 1.0)
        found[row, np.isneginf(values)] = np.nanmin(found[row])
    found[np.isposinf(scores)] = np.finfo(np.float32).max
    return found


def auc(members: Doubles, others: Doubles) -> float:
    """Return the chance that a member scores above another, ties half."""
    both = np.concatenate([members, others])
    _, where, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[where]
    n, m = len(members), len(others)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def tpr(members: Doubles, others: Doubles, *, fpr: float = 0.01) -> float:
    """Return the largest share of members found while at most ``fpr`` of the others are."""
    allowed = int(fpr * len(others))
    threshold = np.sort(others)[::-1][allowed]
    return float((members > threshold).mean())


def attack(members: Doubles, others: Doubles) -> dict[str, float]:
    """Return AUC with its 95 % interval (Hanley and McNeil, 1982), and TPR at 1 % FPR."""
    area, n, m = auc(members, others), len(members), len(others)
    above, twice = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (n - 1) * (above - area**2) + (m - 1) * (twice - area**2)
    half = 1.96 * sqrt(max(variance, 0.0) / (n * m))
    return {
        "auc": area,
        "low": max(area - half, 0.0),
        "high": min(area + half, 1.0),
        "tpr_at_1_fpr": tpr(members, others),
        "pairs": n,
    }
