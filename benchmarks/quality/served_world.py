"""Data sets as streams of events, and what a list is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from app.adapters.embedders.static import StaticEmbedder
from app.domain.models import Item
from app.domain.recommendation.memory import describe_item
from app.domain.recommendation.opinion import Evidence
from benchmarks.data import SEED, Dataset, Ints
from benchmarks.quality.arms import N_LISTED, Content, Told, evidence_of, named

Floats = NDArray[np.float64]
Event = tuple[int, int, float | None]
"""Time, item, rating."""

_N_DRAWS: Final = 2000
_DISCOUNTS: Final = 1 / np.log2(np.arange(2, N_LISTED + 2))
_GENRES: Final = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)


@dataclass(frozen=True, slots=True)
class World:
    """A data set with what is needed to judge a list; users' events in the order of time."""

    dataset: Dataset
    events: dict[int, list[Event]]
    content: Content | None
    degrees: Ints

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Sort the events by time; ties in random order, for many come in one second."""
        rng = np.random.default_rng(SEED)
        events: dict[int, list[Event]] = {}
        for user, items in enumerate(dataset.histories):
            times = dataset.times[user] if dataset.times else np.zeros(len(items), dtype=np.int64)
            order = np.lexsort((rng.random(len(items)), times))
            ratings = dataset.ratings[user].tolist() if dataset.ratings else [None] * len(items)
            events[user] = [(int(times[at]), int(items[at]), ratings[at]) for at in order]
        degrees = np.bincount(np.concatenate(dataset.histories), minlength=dataset.n_items)
        return cls(dataset, events, _content(dataset), degrees)

    def told(self, user: int, items: set[int]) -> Told:
        """Return what a user told of these items."""
        return [evidence(one) for one in self.events[user] if one[1] in items]

    def mean(self, user: int) -> tuple[float, float]:
        """Return mean and deviation of a user's ratings; 0 where the data have none."""
        ratings = [float(r) for _, _, r in self.events[user] if r is not None] or [0.0]
        return float(np.mean(ratings)), float(np.std(ratings))


def evidence(event: Event) -> Evidence:
    """Return an event as the service judges it."""
    at, item, rating = event
    return evidence_of(item, rating, datetime.fromtimestamp(at, UTC))


def _content(dataset: Dataset) -> Content | None:
    if dataset.titles is None or dataset.traits is None:
        return None
    texts = [
        describe_item(Item(named(at), title, attributes={"genres": genres_of(dataset.traits[at])}))
        for at, title in enumerate(dataset.titles)
    ]
    return Content(StaticEmbedder().embed(texts))


def genres_of(flags: Floats) -> list[str]:
    """Return the names of a film's genres."""
    return [_GENRES[at] for at in np.flatnonzero(flags).tolist()]


def ndcg(listed: Sequence[int], wanted: set[int]) -> float:
    """Return NDCG at ten; NaN where nothing is wanted."""
    if not wanted:
        return float("nan")
    gained = sum(_DISCOUNTS[at] for at, item in enumerate(listed) if item in wanted)
    return float(gained / _DISCOUNTS[: len(wanted)].sum())


def summary(values: Sequence[float], users: Sequence[int]) -> dict[str, float]:
    """Return the mean over what was asked, with its 95 % interval by bootstrap over users."""
    found = np.array(values)
    known = ~np.isnan(found)
    _, which = np.unique(np.array(users)[known], return_inverse=True)
    sums, counts = np.bincount(which, weights=found[known]), np.bincount(which)
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(0, len(sums), (_N_DRAWS, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [0.025, 0.975])
    mean = float(sums.sum() / counts.sum())
    return {"mean": mean, "low": float(low), "high": float(high), "n": int(counts.sum())}
