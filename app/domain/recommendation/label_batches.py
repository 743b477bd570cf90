"""Ranking more candidates than there are labels: batches that share anchors, and one scale."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import exp, fsum, log
from typing import Final, TypeVar

from app.domain.models import Item, ItemId

MAX_ANCHORS: Final = 4
Key = TypeVar("Key")


def label_batches(
    candidates: Sequence[Item], *, size: int
) -> tuple[list[list[Item]], frozenset[ItemId]]:
    """Return batches of at most ``size`` candidates that together hold all, and what they share.

    Every batch holds the same few anchors, taken evenly from the whole order; the others are
    dealt round, so that each batch has good and bad ones. One batch needs no anchor.

    Args:
        candidates: best first.
        size: of a batch, >= 2.
    """
    if len(candidates) <= size:
        return [list(candidates)], frozenset()
    n_anchors = _n_anchors(size)
    step = len(candidates) / n_anchors
    places = {int((number + 0.5) * step) for number in range(n_anchors)}
    anchors = [candidates[place] for place in sorted(places)]
    others = [item for place, item in enumerate(candidates) if place not in places]
    count = n_batches(len(candidates), size=size)
    dealt = [[*anchors, *others[number::count]] for number in range(count)]
    return dealt, frozenset(item.item_id for item in anchors)


def n_batches(n_candidates: int, *, size: int) -> int:
    """Return how many batches of at most ``size`` candidates, at least 2, hold them all."""
    if n_candidates <= size:
        return 1
    n_anchors = _n_anchors(size)
    return -(-(n_candidates - n_anchors) // (size - n_anchors))


def _n_anchors(size: int) -> int:
    return min(MAX_ANCHORS, size // 2)


def linked(
    batches: Sequence[Mapping[ItemId, float]], *, anchors: Collection[ItemId]
) -> dict[ItemId, float]:
    """Return one log-probability for each item over all batches; they sum to one.

    By Luce's choice axiom the odds of two items do not depend on what else is shown, so batches
    differ by a constant, which the anchors tell. An anchor gets the mean of its batches.

    Args:
        batches: log-probabilities by batch, each with all anchors.
        anchors: empty for one batch.

    Source: Luce 1959.
    """
    found: dict[ItemId, list[float]] = {}
    for batch in batches:
        level = fsum(batch[item_id] for item_id in anchors) / len(anchors) if anchors else 0.0
        for item_id, score in batch.items():
            found.setdefault(item_id, []).append(score - level)
    return normalised({item_id: fsum(some) / len(some) for item_id, some in found.items()})


def normalised(log_weights: Mapping[Key, float]) -> dict[Key, float]:
    """Return natural log-probabilities (<= 0) that sum to one, from at least one log-weight."""
    most = max(log_weights.values())
    total = most + log(fsum(exp(weight - most) for weight in log_weights.values()))
    return {key: min(weight - total, 0.0) for key, weight in log_weights.items()}
