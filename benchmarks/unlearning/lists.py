"""Ranked lists, and how far two sets of them are apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import Ints
from benchmarks.unlearning.protocol import Floats

DEPTH: Final = 20
_AT: Final = 10
_PATIENCE: Final = 0.9
_BLOCK: Final = 512

Doubles = NDArray[np.float64]


def top_lists(
    scores: Callable[[Ints], Floats], *, users: Ints, seen: Sequence[Sequence[Ints]]
) -> Ints:
    """Return everybody's first ``DEPTH`` items, shape (len(users), DEPTH), ties by number.

    Args:
        scores: of these users for every item.
        users: whose lists.
        seen: parts of the data, by user, whose items are not listed.
    """
    lists = np.empty((len(users), DEPTH), dtype=np.int64)
    for begin in range(0, len(users), _BLOCK):
        block = users[begin : begin + _BLOCK]
        found = np.array(scores(block), dtype=np.float64)
        for row, user in enumerate(block.tolist()):
            for part in seen:
                found[row, part[user]] = -np.inf
        lists[begin : begin + len(block)] = np.argsort(-found, axis=1, kind="stable")[:, :DEPTH]
    return lists


def overlap(ours: Ints, theirs: Ints) -> Doubles:
    """Return rank-biased overlap of each pair of lists, shape (n,), 1 where they are equal.

    Truncated at the lists' depth and divided by what equal lists get, p = .9.
    Source: Webber, Moffat, Zobel, "A similarity measure for indefinite rankings", TOIS 2010.
    """
    depth = ours.shape[1]
    total, weights = np.zeros(len(ours)), 0.0
    equal = ours[:, :, None] == theirs[:, None, :]
    common = np.cumsum(np.cumsum(equal, axis=1), axis=2)
    for place in range(depth):
        weight = _PATIENCE**place
        total += weight * common[:, place, place] / (place + 1)
        weights += weight
    similarity: Doubles = total / weights
    return similarity


def jaccard(ours: Ints, theirs: Ints) -> Doubles:
    """Return common items over all items of the first ten of each pair of lists, shape (n,)."""
    equal = ours[:, :_AT, None] == theirs[:, None, :_AT]
    both = equal.sum(axis=(1, 2))
    similarity: Doubles = both / (2 * _AT - both)
    return similarity


DISTANCES: Final[dict[str, Callable[[Ints, Ints], Doubles]]] = {
    "rbo@20": lambda ours, theirs: 1 - overlap(ours, theirs),
    "jaccard@10": lambda ours, theirs: 1 - jaccard(ours, theirs),
}


def residual(*, unlearned: float, original: float, floor: float) -> float | None:
    """Return what is left of what was to be forgotten: 0 like retrained, 1 like not forgotten.

    Args:
        unlearned: distance of the system that has forgotten from the retrained one.
        original: distance of the system that has not from the retrained one.
        floor: distance of two retrained ones with different seeds.

    Returns:
        None where the original is not a quarter further away than the floor: other seeds move
        the distances by some hundredths of the floor, so nothing could be told.
    """
    span = original - floor
    return (unlearned - floor) / span if span > max(1e-12, 0.25 * floor) else None
