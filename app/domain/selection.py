"""Strategies: which of the user's memories are shown to the LLM.

Three are CRAGRU's (arXiv 2511.05494), over real item embeddings instead of random ones:
attention, preference and diversity; ``recent`` and ``none`` are the controls.
"""

from __future__ import annotations

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


def select_memories(
    strategy: Strategy,
    *,
    vectors: NDArray[np.float32],
    strength: NDArray[np.float32],
    candidates: NDArray[np.float32],
    limit: int,
) -> list[int]:
    """Return the indices of the memories to show, most telling first.

    Args:
        strategy: how to choose.
        vectors: memories' embeddings, newest first, shape (m, d), unit norm.
        strength: positive weight of each memory, shape (m,).
        candidates: candidates' embeddings, shape (c, d), unit norm; may be empty.
        limit: most memories to show, >= 0.
    """
    count = len(vectors)
    if strategy is Strategy.NONE or limit <= 0 or count == 0:
        return []
    match strategy:
        case Strategy.ATTENTION if len(candidates):
            weights = attention_weights(queries=candidates, keys=vectors, strength=strength)
            return _best(weights, limit=limit)
        case Strategy.PREFERENCE:
            return _proportional(k_center(vectors), strength=strength, limit=limit)
        case Strategy.DIVERSITY:
            return _cover(vectors, strength=strength, limit=limit)
        case _:
            return list(range(min(count, limit)))


def k_center(vectors: NDArray[np.float32], *, k: int = 5) -> NDArray[np.int64]:
    """Return the cluster of each vector, shape (m,), by greedy k-center.

    The first vector is the first center, then always the one farthest from all centers: it
    needs no stored centroids, so nothing of a user outlives the request.

    Args:
        vectors: shape (m, d), unit norm, m >= 1.
        k: most clusters; 5 as in CRAGRU.

    Source: Gonzalez 1985, within twice the optimal radius.
    """
    centers = [0]
    nearest = vectors @ vectors[0]
    clusters = np.zeros(len(vectors), dtype=np.int64)
    while len(centers) < min(k, len(vectors)):
        centers.append(int(np.argmin(nearest)))
        similarity = vectors @ vectors[centers[-1]]
        clusters[similarity > nearest] = len(centers) - 1
        nearest = np.maximum(nearest, similarity)
    return clusters


def _best(weights: NDArray[np.float32], *, limit: int) -> list[int]:
    """Return indices by falling weight; ties keep their order (newest first)."""
    return [int(index) for index in np.argsort(-weights, kind="stable")[:limit]]


def _proportional(
    clusters: NDArray[np.int64], *, strength: NDArray[np.float32], limit: int
) -> list[int]:
    """Take from each cluster its share of the history, strongest first (largest remainder)."""
    names, counts = np.unique(clusters, return_counts=True)
    exact = counts * (min(limit, len(clusters)) / len(clusters))
    quota = np.floor(exact).astype(int)
    for index in np.argsort(-(exact - quota), kind="stable")[
        : min(limit, len(clusters)) - quota.sum()
    ]:
        quota[index] += 1
    chosen: list[int] = []
    for name, share in zip(names, quota, strict=True):
        members = np.flatnonzero(clusters == name)
        order = np.argsort(-strength[members], kind="stable")[:share]
        chosen.extend(int(member) for member in members[order])
    return sorted(chosen, key=lambda index: (-float(strength[index]), index))


def _cover(vectors: NDArray[np.float32], *, strength: NDArray[np.float32], limit: int) -> list[int]:
    """Choose greedily the memory that covers most of what is not covered yet.

    Facility location: coverage of a set S is sum_i strength_i * max_{s in S} cos(i, s), which
    greedy maximises within 1 - 1/e. Source: Nemhauser, Wolsey, Fisher 1978.
    """
    similarity = np.clip(vectors @ vectors.T, 0.0, 1.0)
    covered = np.zeros(len(vectors), dtype=np.float32)
    chosen: list[int] = []
    for _ in range(min(limit, len(vectors))):
        gain = (np.maximum(similarity - covered[:, None], 0.0) * strength[:, None]).sum(axis=0)
        gain[chosen] = -1.0
        best = int(np.argmax(gain))
        chosen.append(best)
        covered = np.maximum(covered, similarity[:, best])
    return chosen
