"""Merging ranked lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from app.domain.models import ItemId, Scored

RRF_K: Final = 60
"""Damping of reciprocal-rank fusion, as in the source."""


def reciprocal_rank_fusion(
    rankings: Sequence[tuple[float, Sequence[ItemId]]], *, top_n: int, k: int = RRF_K
) -> list[Scored]:
    """Merge ranked lists by summed, weighted reciprocal rank.

    Args:
        rankings: m pairs (weight > 0, items best first, each item at most once); lengths may
            differ, empty lists are fine.
        top_n: how many to return, >= 1.
        k: damping, unitless.

    Returns:
        At most ``top_n`` items, score in (0, sum of weights / (k + 1)], descending; ties by id.

    Source: Cormack, Clarke, Buettcher, SIGIR 2009; the weights are ours.
    """
    scores: dict[ItemId, float] = {}
    for weight, items in rankings:
        for rank, item_id in enumerate(items, start=1):
            scores[item_id] = scores.get(item_id, 0.0) + weight / (k + rank)
    ordered = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
    return [Scored(item_id, score) for item_id, score in ordered[:top_n]]


def by_position(item_ids: Sequence[ItemId]) -> list[Scored]:
    """Score a list by position alone: 1 for the first, 1/n for the last of n."""
    count = len(item_ids)
    return [Scored(item_id, 1 - index / count) for index, item_id in enumerate(item_ids)]


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
