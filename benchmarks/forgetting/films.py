"""MovieLens 100K in a service of our own, embedded, with everything real but HTTP."""

from __future__ import annotations

import os
import random
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.adapters.datasets.registry import open_dataset
from app.adapters.system.clock import SystemClock
from app.domain.models import Item, ReportedInteraction
from app.ports.dataset import InteractionRecord, ItemRecord
from app.services.ingestion.outcomes import IngestResult, Outcome
from app.services.recommendation.query import RecommendQuery
from app.settings_chroma import ChromaSettings
from app.settings_groups import NeighboursSettings
from tests.world import World, open_world

_BATCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class Films:
    """The data set, in its order."""

    items: list[Item]
    interactions: list[ReportedInteraction]

    def by_user(self) -> dict[str, list[ReportedInteraction]]:
        """Return what each user did."""
        found: defaultdict[str, list[ReportedInteraction]] = defaultdict(list)
        for one in self.interactions:
            found[one.user].append(one)
        return dict(found)


def read_films(*, n_users: int | None, seed: int) -> Films:
    """Read the set from ``LETHE_MOVIELENS_DIR``; or only what ``n_users`` random users did."""
    path = Path(os.environ["LETHE_MOVIELENS_DIR"])
    dataset = open_dataset("ml-100k", path, now=SystemClock().now())
    items = [one.item for one in dataset.items() if isinstance(one, ItemRecord)]
    told = [one for one in dataset.interactions() if isinstance(one, InteractionRecord)]
    interactions = [one.interaction for one in told]
    users = sorted({one.user for one in interactions})
    if n_users is not None:
        kept = set(random.Random(seed).sample(users, n_users))  # noqa: S311 - no secret
        interactions = [one for one in interactions if one.user in kept]
    return Films(items, interactions)


@contextmanager
def serving_films(folder: Path, *, like: Path | None = None) -> Iterator[World]:
    """Open a service with its defaults; ``like``: one whose secrets it shares."""
    folder.mkdir()
    if like is not None:
        for secret in ("pepper", "kek", "vault.db"):
            shutil.copy(like / secret, folder / secret)
    with open_world(folder, chroma=ChromaSettings(), neighbours=NeighboursSettings()) as world:
        yield world


def load(world: World, films: Films, *, without: Callable[[ReportedInteraction], bool]) -> None:
    """Load the catalogue, and all that was done but what is left out; then serve."""
    world.container.catalogue.upsert(films.items)
    send(world, [one for one in films.interactions if not without(one)])
    world.container.feed.start()


def send(world: World, interactions: Sequence[ReportedInteraction]) -> IngestResult:
    """Send interactions in batches; return what became of them."""
    outcomes: list[Outcome] = []
    for start in range(0, len(interactions), _BATCH):
        batch = interactions[start : start + _BATCH]
        told = world.container.ingest.record(
            [world.adapters.identity.interaction(one) for one in batch]
        )
        outcomes += told.outcomes
    return IngestResult(outcomes)


@dataclass(frozen=True, slots=True)
class Listed:
    """A list as a caller sees it: items with their reasons."""

    items: tuple[str, ...]
    because: frozenset[str]
    is_personalised: bool


def listed(world: World, user: str, *, n: int) -> Listed:
    """Recommend to a user."""
    query = RecommendQuery(world.user(user), n=n)
    answer = world.container.recommend.recommend(query)
    return Listed(
        items=tuple(one.item.item_id for one in answer.items),
        because=frozenset(item.item_id for one in answer.items for item in one.because),
        is_personalised=answer.is_personalised,
    )


def remembered(world: World, user: str) -> set[str]:
    """Return the items that the service remembers of a user, in SQL and in the vector store."""
    pseudonym = world.user(user)
    with world.adapters.uows.read() as uow:
        history = uow.interactions.history(pseudonym)
        ids = uow.interactions.record_ids_of(pseudonym)
    stored = world.adapters.memory.vectors(pseudonym, ids)
    if set(stored) != set(ids):
        message = "rows and memories differ"
        raise RuntimeError(message)
    return {one.item_id for one in history if one.item_id is not None}
