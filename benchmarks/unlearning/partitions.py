"""Balanced partitions of users, items or interactions: what the sharded methods stand on.

All are deterministic for their arguments. Sources are named at each; what their released
code does otherwise is told in the method that uses it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.optimize
import scipy.sparse
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.floating]

ROUNDS = 50
"""Iterations at most; RecEraser's T."""


def random_parts(keys: Ints, *, parts: int, seed: int) -> Ints:
    """Draw a part for each key, each from ``(seed, key)`` alone.

    The part of a key does not depend on which other keys there are, so a partition made
    without some of them is the same for the rest. Parts are equal in expectation.

    Args:
        keys: >= 0, any order, repeats allowed (they share a part).
        parts: how many.
        seed: decides every draw.

    Source: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) as a hash of key and seed.
    """
    step = np.array([seed + 1], dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = keys.astype(np.uint64) + step
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(parts)).astype(np.int64)


def fill_nearest(distances: Floats, *, capacity: int) -> Ints:
    """Assign each point to its nearest part that is not full, the closest pairs first.

    The same as walking all (point, part) pairs by distance, but in one pass a part: until
    one is full, every point goes to its nearest open one.

    Args:
        distances: shape (n, k).
        capacity: most points of a part; ``capacity * k >= n``.
    """
    points, parts = distances.shape
    if capacity * parts < points:
        raise ValueError(f"{parts} parts of {capacity} cannot hold {points} points")
    chosen = np.full(points, -1)
    left = np.arange(points)
    room = np.full(parts, capacity)
    barred = distances.astype(np.float64)
    while len(left):
        nearest = barred[left].argmin(axis=1)
        order = np.argsort(barred[left, nearest], kind="stable")
        sequence = nearest[order]
        rank = _rank_within(sequence)
        overflow = np.flatnonzero(rank >= room[sequence])
        upto = overflow[0] if len(overflow) else len(order)
        taken = order[:upto]
        chosen[left[taken]] = nearest[taken]
        room -= np.bincount(nearest[taken], minlength=parts)
        barred[:, room == 0] = np.inf
        left = np.delete(left, taken)
    return chosen


def _rank_within(groups: Ints) -> Ints:
    """Return how many earlier entries equal each entry."""
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    rank = np.empty(len(groups), dtype=np.int64)
    rank[order] = np.arange(len(groups)) - starts
    return rank


def balanced_k_means(
    views: Sequence[Floats], *, parts: int, slack: float, seed: int, rounds: int = ROUNDS
) -> Ints:
    """Cluster points into parts of at most ``slack * n / parts``.

    A point has one vector in each view; its distance to a centre is the product over views of
    the squared Euclidean distances. One view is GraphEraser's BEKM and RecEraser's user-based
    partition, two (the user's and the item's vector) its interaction-based one. A centre is
    the mean over its members of each coordinate.

    Args:
        views: each of shape (n, d).
        parts: how many, <= n.
        slack: >= 1; 1.2 in RecEraser.
        seed: decides which points are the first centres.
        rounds: iterations at most.
    """
    count = len(views[0])
    capacity = math.ceil(slack * count / parts)
    first = np.sort(np.random.default_rng(seed).permutation(count)[:parts])
    centres = [view[first].astype(np.float64) for view in views]
    chosen = np.full(count, -1)
    for _ in range(rounds):
        distances = np.ones((count, parts))
        for view, centre in zip(views, centres, strict=True):
            distances *= squared_distances(view, centre)
        before, chosen = chosen, fill_nearest(distances, capacity=capacity)
        if np.array_equal(before, chosen):
            break
        member = np.bincount(chosen, minlength=parts)
        for view, centre in zip(views, centres, strict=True):
            held = member > 0
            centre[held] = _sums(view, chosen, parts=parts)[held] / member[held, None]
    return chosen


def _sums(view: Floats, chosen: Ints, *, parts: int) -> Floats:
    places = (np.ones(len(chosen)), (chosen, np.arange(len(chosen))))
    member = scipy.sparse.csr_matrix(places, shape=(parts, len(chosen)))
    return np.asarray(member @ view.astype(np.float64))


def squared_distances(points: Floats, centres: Floats) -> Floats:
    """Return squared Euclidean distances, shape (n, k), >= 0."""
    squares = (points.astype(np.float64) ** 2).sum(1)[:, None] + (centres**2).sum(1)[None]
    return np.asarray(np.maximum(squares - 2 * points.astype(np.float64) @ centres.T, 0.0))


def balanced_labels(
    affinity: scipy.sparse.csr_matrix, *, parts: int, slack: float, seed: int, rounds: int = 100
) -> Ints:
    """Balanced label propagation: nodes move to where their neighbours are, none overfull.

    Args:
        affinity: symmetric weights >= 0 of a graph, shape (n, n).
        parts: how many communities.
        slack: a community holds at most ``ceil(n / parts * (1 + slack))``; GraphEraser: 0.005.
        seed: decides the first, random and balanced, communities.
        rounds: iterations at most; GraphEraser: 100.

    Source: Ugander and Backstrom, WSDM 2013: which of the nodes that would gain by a move may
    move is a linear programme that keeps every community within its bounds; GraphEraser (Chen
    et al., CCS 2022) partitions with it.
    """
    count = affinity.shape[0]
    capacity = math.ceil(count / parts * (1 + slack))
    labels = np.random.default_rng(seed).permutation(np.arange(count) % parts)
    cut_before = -1.0
    for _ in range(rounds):
        held = scipy.sparse.csr_matrix(
            (np.ones(count), (np.arange(count), labels)), shape=(count, parts)
        )
        pull = np.asarray((affinity @ held).todense())
        target = pull.argmax(axis=1)
        gain = pull[np.arange(count), target] - pull[np.arange(count), labels]
        kept = float(pull[np.arange(count), labels].sum())
        if kept <= cut_before * (1 + 1e-6) or not (gain > 0).any():
            break
        cut_before = kept
        moving = _moves(labels, target, gain=gain, parts=parts, capacity=capacity)
        labels = labels.copy()
        labels[moving] = target[moving]
    return labels


def _moves(labels: Ints, target: Ints, *, gain: Floats, parts: int, capacity: int) -> Ints:
    """Return the nodes that may move: most gain in all, no community above its capacity."""
    wants = np.flatnonzero(gain > 0)
    columns = np.arange(len(wants))
    flow = scipy.sparse.csr_matrix(
        (
            np.concatenate([np.ones(len(wants)), -np.ones(len(wants))]),
            (np.concatenate([target[wants], labels[wants]]), np.concatenate([columns, columns])),
        ),
        shape=(parts, len(wants)),
    )
    room = capacity - np.bincount(labels, minlength=parts)
    solved = scipy.optimize.linprog(
        -gain[wants], A_ub=flow, b_ub=room, bounds=(0, 1), method="highs-ds"
    )
    if not solved.success:
        raise ArithmeticError(f"the linear programme of the moves failed: {solved.message}")
    # The constraints are a network's, so a vertex is integral but for rounding.
    moving: Ints = wants[solved.x > 0.5]
    return moving


def transported(points: Floats, *, parts: int, seed: int, rounds: int = 10) -> Ints:
    """Cluster by optimal transport: every part gets the same mass, at the least total distance.

    Args:
        points: shape (n, d).
        parts: how many; each gets ``n / parts`` points, rounded up or down.
        seed: decides the first centres.
        rounds: iterations at most; UltraRE: 10.

    Source: UltraRE (Li et al., NeurIPS 2023). With uniform masses the optimal plan is an
    assignment, so it is solved exactly, without entropy; the released code hands its entropic
    weight to a solver that takes it for a number of iterations.
    """
    count = len(points)
    first = np.sort(np.random.default_rng(seed).permutation(count)[:parts])
    centres = points[first].astype(np.float64)
    seats = np.sort(np.arange(count) % parts)
    chosen = np.full(count, -1)
    for _ in range(rounds):
        distances = squared_distances(points, centres)
        rows, columns = scipy.optimize.linear_sum_assignment(distances[:, seats])
        before, chosen = chosen, np.empty(count, dtype=np.int64)
        chosen[rows] = seats[columns]
        if np.array_equal(before, chosen):
            break
        centres = _sums(points, chosen, parts=parts) / np.bincount(chosen)[:, None]
    return chosen
