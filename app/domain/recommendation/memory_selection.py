"""Strategies: which of the user's memories are shown to the LLM, within a budget of its tokens.

Three are CRAGRU's (arXiv 2511.05494), over real item embeddings instead of random ones:
attention, preference and diversity; ``recent`` and ``none`` are the controls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Strategy(StrEnum):
    """How memories are chosen."""

    ATTENTION = "attention"
    PREFERENCE = "preference"
    DIVERSITY = "diversity"
    RECENT = "recent"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Choice:
    """Memories to choose from, m of them, newest first.

    Args:
        vectors: embeddings, shape (m, d), unit norm.
        strength: positive weight of each, shape (m,).
        clusters: number of the item cluster of each, shape (m,), >= 0.
        costs: tokens that showing each takes, > 0.
        budget: most tokens in all.
    """

    vectors: NDArray[np.float32]
    strength: NDArray[np.float32]
    clusters: NDArray[np.int64]
    costs: Sequence[int]
    budget: int


def select_memories(
    strategy: Strategy, choice: Choice, *, candidates: NDArray[np.float32]
) -> list[int]:
    """Return the indices of the memories to show, most telling first; their costs fit the budget.

    Args:
        strategy: how to choose.
        choice: what from.
        candidates: candidates' embeddings, shape (c, d), unit norm; may be empty.
    """
    count = len(choice.vectors)
    if strategy is Strategy.NONE or count == 0:
        return []
    match strategy:
        case Strategy.ATTENTION if len(candidates):
            weights = attention_weights(
                queries=candidates, keys=choice.vectors, strength=choice.strength
            )
            return _fill(_falling(weights), choice)
        case Strategy.PREFERENCE:
            return _by_shares(choice, np.bincount(choice.clusters) / count)
        case Strategy.DIVERSITY:
            return _cover(choice)
        case _:
            return _fill(range(count), choice)


def attention_weights(
    *, queries: NDArray[np.float32], keys: NDArray[np.float32], strength: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return how much candidates attend to each memory: softmax(sqrt(d) q.k + log strength).

    Args:
        queries: candidates' embeddings, shape (c, d), c >= 1.
        keys: memories' embeddings, shape (m, d), m >= 1.
        strength: positive weight of each memory, e.g. its rating over the mean, shape (m,).

    Returns:
        Shape (m,), >= 0, sum 1: the mean over candidates of each one's softmax.

    Source: Vaswani et al. 2017, equation 1, for unit vectors: trained queries and keys have
    norms of order sqrt(d), so their q.k / sqrt(d) is sqrt(d) times a cosine.
    """
    logits = queries @ keys.T * np.sqrt(np.float32(keys.shape[1])) + np.log(strength)
    logits -= logits.max(axis=1, keepdims=True)
    weights = np.exp(logits)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(weights.mean(axis=0), dtype=np.float32)


def _falling(weights: NDArray[np.float32]) -> list[int]:
    """Return indices by falling weight; ties keep their order (newest first)."""
    return [int(index) for index in np.argsort(-weights, kind="stable")]


def _fill(order: Sequence[int], choice: Choice) -> list[int]:
    """Take in that order each that still fits."""
    chosen: list[int] = []
    left = choice.budget
    for index in order:
        if choice.costs[index] <= left:
            chosen.append(index)
            left -= choice.costs[index]
    return chosen


def _by_shares(choice: Choice, shares: NDArray[np.float64]) -> list[int]:
    """Give each cluster its share of the budget, strongest first.

    The next memory always comes from the cluster that is farthest below its share, so what one
    cluster cannot use goes to the others, and a budget too small for all shares is not lost.
    """
    waiting = [
        [index for index in _falling(choice.strength) if choice.clusters[index] == number]
        for number in range(int(choice.clusters.max()) + 1)
    ]
    due = [
        float(shares[number]) * choice.budget if number < len(shares) else 0.0
        for number in range(len(waiting))
    ]
    chosen: list[int] = []
    left = choice.budget
    while any(waiting):
        number = max(
            (number for number in range(len(waiting)) if waiting[number]),
            key=lambda number: (due[number], -number),
        )
        index = waiting[number].pop(0)
        if choice.costs[index] <= left:
            chosen.append(index)
            left -= choice.costs[index]
            due[number] -= choice.costs[index]
    return sorted(chosen, key=lambda index: (-float(choice.strength[index]), index))


def _cover(choice: Choice) -> list[int]:
    """Choose what covers the whole memory best, within the budget.

    Facility location: coverage of a set S is sum_i strength_i * max_{s in S} cos(i, s). Greedy by
    gain and greedy by gain for a token, whichever ends higher, is within (1 - 1/e) / 2 of the best.
    Source: Leskovec et al. 2007 (CELF).
    """
    similarity = np.clip(choice.vectors @ choice.vectors.T, 0.0, 1.0)
    costs = np.asarray(choice.costs, dtype=np.float32)
    found = [
        _greedy(choice, similarity=similarity, price=price)
        for price in (np.ones_like(costs), costs)
    ]
    return max(found, key=lambda one: one[0])[1]


def _greedy(
    choice: Choice, *, similarity: NDArray[np.float32], price: NDArray[np.float32]
) -> tuple[float, list[int]]:
    """Return the coverage reached and the indices, each the most gain for its price."""
    strength = choice.strength[:, None]
    covered = np.zeros(len(choice.vectors), dtype=np.float32)
    chosen: list[int] = []
    left = choice.budget
    open_ = np.ones(len(choice.vectors), dtype=bool)
    while (affordable := open_ & (np.asarray(choice.costs) <= left)).any():
        gain = (np.maximum(similarity - covered[:, None], 0.0) * strength).sum(axis=0) / price
        best = int(np.argmax(np.where(affordable, gain, -1.0)))
        chosen.append(best)
        open_[best] = False
        left -= choice.costs[best]
        covered = np.maximum(covered, similarity[:, best])
    return float((covered * choice.strength).sum()), chosen
