"""Recommenders that are a formula of the training part, and the service's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours import ExactNeighbours
from app.domain.models import ItemId, Pseudonym
from app.settings_groups import NeighboursSettings
from benchmarks.data import Ints
from benchmarks.quality.metrics import Scorer

Floats = NDArray[np.float64]


def matrix(train: Sequence[Ints], *, n_items: int) -> NDArray[np.float32]:
    """Return the interactions, shape (n_users, n_items), 0 or 1."""
    interactions = np.zeros((len(train), n_items), dtype=np.float32)
    for user, row in enumerate(train):
        interactions[user, row] = 1
    return interactions


def popularity(interactions: NDArray[np.float32]) -> Scorer:
    """Rank by number of users, the same for everybody."""
    degrees = interactions.sum(axis=0)
    return lambda users: np.tile(degrees, (len(users), 1))


def item_knn(
    interactions: NDArray[np.float32], *, n_neighbours: int, alpha: float, shrink: float
) -> Scorer:
    """Rank by the sum of ``item_knn_weights``."""
    similar = item_knn_weights(interactions, n_neighbours=n_neighbours, alpha=alpha, shrink=shrink)
    return lambda users: interactions[users] @ similar


def item_knn_weights(
    interactions: NDArray[np.float32], *, n_neighbours: int, alpha: float, shrink: float
) -> Floats:
    """Return similarities c_ij / (d_i^alpha d_j^(1 - alpha) + shrink), shape (n, n).

    Only the ``n_neighbours`` most similar history items i of each target j count.
    """
    counts = (interactions.T @ interactions).astype(np.float64)
    degrees = np.maximum(counts.diagonal(), 1)
    similar = counts / (np.outer(degrees**alpha, degrees ** (1 - alpha)) + shrink)
    np.fill_diagonal(similar, 0)
    weakest = np.partition(similar, -n_neighbours, axis=0)[-n_neighbours]
    similar[similar < weakest] = 0
    return np.asarray(similar, dtype=np.float64)


def user_knn(
    interactions: NDArray[np.float32], *, n_neighbours: int, length_penalty: float
) -> Scorer:
    """Rank by what the nearest other users have, as ``UserKnn`` does, over a whole block."""
    lengths = np.maximum(interactions.sum(axis=1), 1)

    def scorer(users: Ints) -> Floats:
        common = interactions[users] @ interactions.T
        weights = (common / lengths**length_penalty) ** 4
        weights[np.arange(len(users)), users] = 0
        weakest = np.partition(weights, -n_neighbours, axis=1)[:, -n_neighbours]
        weights[weights < weakest[:, None]] = 0
        scores: Floats = (weights @ interactions).astype(np.float64)
        return scores

    return scorer


def ease(interactions: NDArray[np.float32], *, regularisation: float) -> Scorer:
    """Rank by EASE as published, in float64, with numpy's inverse."""
    counts = (interactions.T @ interactions).astype(np.float64)
    inverse = np.linalg.inv(counts + regularisation * np.eye(len(counts)))
    weights = -inverse / inverse.diagonal()
    np.fill_diagonal(weights, 0)
    return lambda users: interactions[users] @ weights


def as_served(*, dense_limit: int = 10_000, head_limit: int = 0) -> ExactNeighbours:
    """Return neighbours as the service makes them with its usual settings."""
    usual = NeighboursSettings()
    return ExactNeighbours(
        dense_limit=dense_limit,
        head_limit=head_limit,
        regularisation=usual.ease_lambda,
        is_graded=True,
    )


def service(
    neighbours: ExactNeighbours, *, train: Sequence[Ints], never: Sequence[Ints], n_items: int
) -> Scorer:
    """Rank through the port, as the service does: 20 items and no other has a score.

    Args:
        neighbours: built from ``named(train)``.
        train: histories by user, what the answers are for.
        never: items by user that are excluded from the answers.
        n_items: items are below it.
    """

    def scorer(users: Ints) -> Floats:
        scores = np.full((len(users), n_items), -np.inf)
        for row, user in enumerate(users.tolist()):
            history = [ItemId(str(item)) for item in train[user].tolist()]
            excluded = [ItemId(str(item)) for item in never[user].tolist()]
            for scored in neighbours.recommend(history, top_n=20, exclude=excluded):
                scores[row, int(scored.item_id)] = scored.score
        return scores

    return scorer


def named(train: Sequence[Ints]) -> dict[Pseudonym, list[ItemId]]:
    """Return the training part as the service takes it; items are numbers as text."""
    return {
        Pseudonym(f"{user:064x}"): [ItemId(str(item)) for item in row.tolist()]
        for user, row in enumerate(train)
    }
