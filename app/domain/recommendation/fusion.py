"""Merging ranked lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.models import ItemId, Scored

RRF_K: Final = 60
"""Damping of reciprocal-rank fusion, as in the source."""


def reciprocal_ranks(ranking: Sequence[Scored], *, weight: float) -> dict[ItemId, float]:
    """Return what a ranked list adds to each item's fused score: weight / (60 + rank).

    Args:
        ranking: best first, each item at most once; an item's own rank is taken where it has one.
        weight: > 0; what the list counts.

    Source: Cormack, Clarke, Buettcher, SIGIR 2009; the weights are ours.
    """
    return {
        one.item_id: weight / (RRF_K + (one.rank or place))
        for place, one in enumerate(ranking, start=1)
    }


def by_position(item_ids: Sequence[ItemId]) -> list[Scored]:
    """Score a list by position alone: 1 for the first, 1/n for the last of n."""
    count = len(item_ids)
    return [Scored(item_id, 1 - index / count) for index, item_id in enumerate(item_ids)]


def diversified(
    item_ids: Sequence[ItemId],
    vectors: Mapping[ItemId, NDArray[np.float32]],
    *,
    n: int,
    diversity: float,
) -> list[ItemId]:
    """Return up to ``n`` items, each the best by maximal marginal relevance after those before.

    (1 - diversity) * relevance - diversity * largest cosine to a chosen one; relevance falls evenly
    from 1 with the place in the list. Ties keep the order.

    Args:
        item_ids: m of them, best first.
        vectors: of some of them, unit norm; without one an item is like no other.
        n: how many.
        diversity: 0 keeps the order, 1 looks at the likeness alone.

    Source: Carbonell and Goldstein, SIGIR 1998.
    """
    if diversity <= 0 or not vectors:
        return list(item_ids[:n])
    zero = np.zeros_like(next(iter(vectors.values())))
    rows = np.stack([vectors.get(one, zero) for one in item_ids])
    relevance = 1 - np.arange(len(item_ids)) / len(item_ids)
    likeness = np.full(len(item_ids), -1.0)
    left = np.ones(len(item_ids), dtype=np.bool_)
    chosen: list[ItemId] = []
    while len(chosen) < min(n, len(item_ids)):
        worth = (1 - diversity) * relevance - diversity * np.maximum(likeness, 0)
        place = int(np.argmax(np.where(left, worth, -np.inf)))
        left[place] = False
        chosen.append(item_ids[place])
        likeness = np.maximum(likeness, rows @ rows[place])
    return chosen


def blend(
    fused: Sequence[ItemId], log_probabilities: Mapping[ItemId, float], *, weight: float
) -> list[Scored]:
    """Order ``fused`` by a mix of its own ranks and the LLM's.

    Ranks and not scores are mixed: a log-probability and a fused score share no scale.

    Args:
        fused: candidates, best first, n of them.
        log_probabilities: the LLM's, for some of ``fused``; the rest stays behind.
        weight: share of the LLM's order in [0, 1]; 0 keeps ``fused``, 1 trusts the LLM alone.

    Returns:
        A permutation of ``fused`` by falling score in (0, 1], 1 - mixed rank / n; ties keep
        the fused order.
    """
    ranked = [item_id for item_id in fused if item_id in log_probabilities]
    by_llm = sorted(ranked, key=lambda item_id: -log_probabilities[item_id])
    position = {item_id: rank for rank, item_id in enumerate(ranked)}
    mixed = {
        item_id: (1 - weight) * position[item_id] + weight * llm_rank
        for llm_rank, item_id in enumerate(by_llm)
    }
    head = sorted(ranked, key=lambda item_id: (mixed[item_id], position[item_id]))
    tail = [item_id for item_id in fused if item_id not in log_probabilities]
    count = len(fused)
    scores = [mixed[item_id] for item_id in head] + list(range(len(head), count))
    return [
        Scored(item_id, 1 - score / count)
        for item_id, score in zip(head + tail, scores, strict=True)
    ]
