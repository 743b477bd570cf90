"""What is compared: the service's lists, step by step, and what one would use instead.

An arm is fitted on everybody's evidence and then asked with one person's evidence of the moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours import ExactNeighbours, UserKnn
from app.domain.models import EventKey, HistoryEntry, Item, ItemId, Kind, Pseudonym, RecordId
from app.domain.recommendation.memory import strengths
from app.domain.recommendation.opinion import Evidence, OpinionRule, Stance
from app.domain.recommendation.repulsion import repelled
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.vectors import ItemVectors
from app.services.recommendation.candidates import CandidateConfig, Candidates, Wish
from app.services.recommendation.rules import Rules
from app.settings_groups import NeighboursSettings
from benchmarks.quality import models
from benchmarks.quality.beyond import ease_weights
from tests.fakes_memory import FakeCatalogueIndex

Floats = NDArray[np.float64]
Told = Sequence[Evidence]
"""One person's evidence, in any order."""
Ask = Callable[[Told], list[int]]
"""Returns the ten best items, best first, none of the evidence's."""
Fit = Callable[[Mapping[int, Told]], Ask]

N_LISTED = 10
_NEWEST = 64
EVERYTHING = OpinionRule(scale=(-np.inf, np.inf), thresholds=(-np.inf, -np.inf))
"""Counts each rating as praise, as the service did before."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How an arm of the service differs from the service.

    Args:
        opinions: what counts.
        recency: see ``NeighboursSettings``.
        order_weight: see there.
        in_sitting: whether lists are asked for while somebody is at it, see ``Wish``.
    """

    opinions: OpinionRule = field(default_factory=OpinionRule)
    recency: float = NeighboursSettings().recency
    order_weight: float = NeighboursSettings().order_weight
    in_sitting: bool = True

    def neighbours(self) -> ExactNeighbours:
        """Return neighbours as the service makes them."""
        usual = NeighboursSettings()
        return ExactNeighbours(
            dense_limit=usual.dense_limit,
            head_limit=usual.head_limit,
            regularisation=usual.ease_lambda,
            is_graded=True,
            recency=self.recency,
            order_weight=self.order_weight,
            knn=UserKnn(n_neighbours=usual.knn_k, length_penalty=0.5, max_cells=2_000_000),
        )


def named(item: int) -> ItemId:
    """Return the id of an item's number; ids sort as the numbers do."""
    return ItemId(f"{item:05d}")


def fit_neighbours(setup: Setup, everybody: Mapping[int, Told]) -> Ask:
    """Fit what the service counts, without content and fusion."""
    neighbours = built(setup, everybody)

    def ask(told: Told) -> list[int]:
        liked = setup.opinions.liked(told)
        listed = neighbours.recommend(
            liked,
            top_n=N_LISTED,
            exclude={one.item_id for one in told},
            in_sitting=setup.in_sitting,
        )
        return [int(one.item_id) for one in listed]

    return ask


def built(setup: Setup, everybody: Mapping[int, Told]) -> ExactNeighbours:
    """Return neighbours that know everybody."""
    neighbours = setup.neighbours()
    neighbours.build(
        (Pseudonym(f"{user:064x}"), setup.opinions.liked(told)) for user, told in everybody.items()
    )
    return neighbours


@dataclass(frozen=True, slots=True)
class Content:
    """What a catalogue says of its items: a vector of unit length each, shape (n_items, dim)."""

    vectors: NDArray[np.float32]

    def index(self) -> FakeCatalogueIndex:
        """Return the catalogue index."""
        index = FakeCatalogueIndex()
        items = [Item(named(at), named(at)) for at in range(len(self.vectors))]
        index.upsert(items, self.vectors)
        return index

    def without(
        self, listed: list[int], *, liked: Sequence[ItemId], disliked: Sequence[ItemId]
    ) -> list[int]:
        """Return what is not like something disliked, as the service drops it."""
        praised, against = (
            self.vectors[np.array(one, dtype=np.int64)] for one in (liked[:_NEWEST], disliked)
        )
        is_out = repelled(self.vectors[listed], liked=praised, disliked=against)
        return [item for item, out in zip(listed, is_out.tolist(), strict=True) if not out]

    def _of(self, items: Sequence[ItemId]) -> NDArray[np.float32]:
        return self.vectors[np.array(items, dtype=np.int64)]

    def profile(self, told: Told) -> NDArray[np.float32] | None:
        """Return the mean of the newest memories as the service weighs them."""
        newest = sorted(told, key=lambda one: one.occurred_at, reverse=True)[:_NEWEST]
        entries = [_entry(one) for one in newest]
        weights = np.asarray(strengths(entries), dtype=np.float32)
        rows = self.vectors[[int(one.item_id) for one in newest]]
        mean = (rows * weights[:, None]).sum(axis=0)
        norm = float(np.linalg.norm(mean))
        return mean / norm if norm > 0 else None


def _entry(one: Evidence) -> HistoryEntry:
    nobody = RecordId(""), EventKey("")
    return HistoryEntry(*nobody, one.kind, one.occurred_at, one.item_id, one.value, None, False)


def fit_list(
    setup: Setup,
    content: Content | None,
    everybody: Mapping[int, Told],
    *,
    never: Collection[ItemId] = (),
) -> Ask:
    """Fit the list that a caller gets, but for some items: neighbours, content, popularity."""
    candidates = Candidates(neighbours=built(setup, everybody), config=CandidateConfig())
    index = content.index() if content else FakeCatalogueIndex()
    items = {one for told in everybody.values() for one in (each.item_id for each in told)}
    held = items | set(index.rows)
    catalogue = CatalogueSnapshot.of((Item(one, one) for one in held), ItemVectors(index))

    def ask(told: Told) -> list[int]:
        opinions = setup.opinions.opinions(told)
        liked = [one for one, stance in opinions.items() if stance is Stance.FOR]
        disliked = [one for one, stance in opinions.items() if stance is Stance.AGAINST]
        kept = [one for one in told if one.item_id not in disliked]
        gathered = candidates.gather(
            Wish(
                liked,
                disliked,
                content.profile(kept) if content else None,
                in_sitting=setup.in_sitting,
            ),
            Rules.plain(catalogue, exclude={*never, *(one.item_id for one in told)}),
            top_n=2 * N_LISTED if disliked else N_LISTED,
        )
        listed = [int(one.item_id) for one in gathered]
        if content and disliked:
            listed = content.without(listed, liked=liked, disliked=disliked)
        return listed[:N_LISTED]

    return ask


def _matrix(everybody: Mapping[int, Told], n_items: int) -> NDArray[np.float32]:
    rows = [
        np.array([int(one.item_id) for one in told], dtype=np.int64) for told in everybody.values()
    ]
    return models.matrix(rows, n_items=n_items)


def _by_weights(weights: Floats) -> Ask:
    def ask(told: Told) -> list[int]:
        seen = sorted({int(one.item_id) for one in told})
        return best(weights[seen].sum(axis=0), seen)

    return ask


def best(scores: Floats, seen: Collection[int]) -> list[int]:
    """Return the ten best of all items but those that were seen, ties by number."""
    scores = scores.copy()
    scores[list(seen)] = -np.inf
    found: list[int] = np.argsort(-scores, kind="stable")[:N_LISTED].tolist()
    return found


def fit_popularity(n_items: int, everybody: Mapping[int, Told]) -> Ask:
    """Fit the number of users."""
    counts = Counter(int(one.item_id) for told in everybody.values() for one in told)
    degrees = np.array([counts[item] for item in range(n_items)], dtype=np.float64)
    return lambda told: best(degrees, {int(one.item_id) for one in told})


def fit_ease(n_items: int, everybody: Mapping[int, Told], *, regularisation: float) -> Ask:
    """Fit EASE as published, every interaction alike."""
    x = _matrix(everybody, n_items).astype(np.float64)
    return _by_weights(ease_weights(x.T @ x, regularisation))


def fit_item_knn(n_items: int, everybody: Mapping[int, Told]) -> Ask:
    """Fit item-kNN with the setting that was best on ML-100K and ML-1M."""
    x = _matrix(everybody, n_items)
    return _by_weights(models.item_knn_weights(x, n_neighbours=100, alpha=0.9, shrink=20.0))


def arms(
    n_items: int, *, content: Content | None, has_times: bool, in_sitting: bool
) -> dict[str, Fit]:
    """Return everything that is compared, by name."""
    rated = Setup(in_sitting=in_sitting) if has_times else Setup(recency=0.0, order_weight=0.0)
    before = Setup(opinions=EVERYTHING, recency=0.0, order_weight=0.0)
    steps = {
        "opinions": Setup(recency=0.0, order_weight=0.0),
        "opinions and recency": Setup(order_weight=0.0),
        "neighbours": rated,
    }
    return {
        "popularity": partial(fit_popularity, n_items),
        "item-kNN": partial(fit_item_knn, n_items),
        "EASE": partial(fit_ease, n_items, regularisation=600.0),
        "neighbours before": partial(fit_neighbours, before),
        **{
            name: partial(fit_neighbours, setup)
            for name, setup in steps.items()
            if has_times or name == "neighbours"
        },
        "list before": partial(fit_list, before, content),
        "list": partial(fit_list, rated, content),
    }


def evidence_of(item: int, rating: float | None, at: datetime) -> Evidence:
    """Return a rating as evidence, or a view where the data have no ratings."""
    kind = Kind.VIEW if rating is None else Kind.RATING
    return Evidence(named(item), kind, rating, at)
