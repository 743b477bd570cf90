"""Ranking quality over the full catalogue, and how sure it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import Ints

Floats = NDArray[np.float64]
Scorer = Callable[[Ints], NDArray[np.floating]]
"""Scores of every item for these users, shape (len(users), n_items); larger is better."""

METRICS: Final = ("ndcg@10", "recall@20", "hr@10")
_DEPTH: Final = 20
_AT: Final = 10
_BLOCK: Final = 512
_DRAWS: Final = 5000


def evaluate(
    scorer: Scorer, *, users: Ints, seen: Sequence[Sequence[Ints]], wanted: Sequence[Ints]
) -> dict[str, Floats]:
    """Measure a scorer on each user, full ranking, no sampled negatives.

    Args:
        scorer: the model.
        users: whom to measure; users with nothing in ``wanted`` get NaN.
        seen: parts of the data, by user, whose items are never ranked.
        wanted: the held-out items by user.

    Returns:
        By metric one value a user, shape (len(users),), in [0, 1]: NDCG@10 with the ideal
        over min(10, held-out items); recall@20 = hits / held-out items; HR@10 = any hit.
    """
    rates = []
    for begin in range(0, len(users), _BLOCK):
        block = users[begin : begin + _BLOCK]
        scores = np.array(scorer(block), dtype=np.float64)
        for row, user in enumerate(block.tolist()):
            for part in seen:
                scores[row, part[user]] = -np.inf
        rates.append(rate(_top(scores), wanted=[wanted[user] for user in block.tolist()]))
    none = np.empty(0)
    return {metric: np.concatenate([none, *(part[metric] for part in rates)]) for metric in METRICS}


def rate(lists: Ints, *, wanted: Sequence[Ints]) -> dict[str, Floats]:
    """Measure ranked lists, one a user.

    Args:
        lists: the best 20 items, best first, shape (n_users, 20).
        wanted: the held-out items by user; who has none gets NaN.

    Returns:
        As ``evaluate``.
    """
    sizes = np.array([len(items) for items in wanted])
    width = 1 + max(int(lists.max(initial=0)), *(int(items.max(initial=0)) for items in wanted))
    is_wanted = np.zeros((len(lists), width), dtype=bool)
    is_wanted[np.repeat(np.arange(len(lists)), sizes), np.concatenate(wanted)] = True
    hits = np.take_along_axis(is_wanted, lists, axis=1)
    discounts = 1 / np.log2(np.arange(2, _AT + 2))
    ideal = np.array([discounts[:n].sum() for n in range(_AT + 1)])[np.minimum(sizes, _AT)]
    values = {
        "ndcg@10": (hits[:, :_AT] * discounts).sum(axis=1) / np.where(sizes, ideal, 1),
        "recall@20": hits.sum(axis=1) / np.maximum(sizes, 1),
        "hr@10": hits[:, :_AT].any(axis=1).astype(np.float64),
    }
    return {metric: np.where(sizes, values[metric], np.nan) for metric in METRICS}


def _top(scores: Floats) -> Ints:
    """Return the best items of every row, best first, ties by number."""
    listed = np.sort(np.argpartition(-scores, _DEPTH, axis=1)[:, :_DEPTH], axis=1)
    order = np.argsort(-np.take_along_axis(scores, listed, axis=1), axis=1, kind="stable")
    return np.take_along_axis(listed, order, axis=1)


def interval(values: Floats, *, seed: int, draws: int = _DRAWS) -> tuple[float, float, float]:
    """Return the mean over users and its 95 % interval by bootstrap over users."""
    values = values[~np.isnan(values)]
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(draws)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def summary(found: Mapping[str, Floats], *, seed: int) -> dict[str, object]:
    """Return mean and interval of every metric."""
    return {
        metric: dict(zip(("mean", "low", "high"), interval(values, seed=seed), strict=True))
        for metric, values in found.items()
    }
