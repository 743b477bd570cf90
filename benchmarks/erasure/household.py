"""A whole service with memories in it, without HTTP, for measurements of erasures."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from app.adapters.chroma.layout import CollectionSpec
from app.bootstrap.adapters import Adapters
from app.bootstrap.database import prepare_database
from app.bootstrap.services import container_of
from app.container import Container
from app.domain.erasure.scope import AllScope
from app.domain.models import Interaction, Kind, Pseudonym, RecordId, RequestId
from app.ports.memory_store import Memory
from app.ports.persistence.records import NewInteraction
from app.services.erasure.requests import ForgetCommand
from app.settings import Settings

_BATCH: Final = 1_000
_WHEN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_WORDS: Final = ("whale", "harbour", "murder", "planet", "garden", "violin", "winter", "engine")


@dataclass
class Household:
    """A service that a benchmark fills, asks and lets forget."""

    adapters: Adapters
    container: Container

    def user(self, name: str) -> Pseudonym:
        """Return a user's pseudonym."""
        return self.adapters.identity.pseudonym(name)

    def fill(self, sizes: Mapping[str, int], *, seed: int, n_words: int = 6) -> None:
        """Give users notes of ``n_words`` words of theirs, sealed and rotated as ingestion does.

        Only the embedder is left out: directions are random.
        """
        rng = np.random.default_rng(seed)
        rows: list[NewInteraction] = []
        for name, n_memories in sizes.items():
            user = self.user(name)
            for number in range(n_memories):
                key = self.adapters.identity.event_key(user, f"{name}-{number}")
                at = _WHEN + timedelta(minutes=number)
                words = f"{' '.join(rng.choice(_WORDS, n_words))} {secrets.token_hex(8)}"
                note = Interaction(user, key, Kind.NOTE, at, text=words)
                rows.append(NewInteraction(note, RecordId(secrets.token_hex(16))))
        for start in range(0, len(rows), _BATCH):
            self._store(rows[start : start + _BATCH], rng)

    def _store(self, rows: Sequence[NewInteraction], rng: np.random.Generator) -> None:
        dim = self.adapters.embedder.dim
        vectors = rng.standard_normal((len(rows), dim), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        with self.adapters.uows.write() as uow:
            for user in sorted({row.interaction.pseudonym for row in rows}):
                if uow.subjects.lock(user) is None:
                    uow.subjects.create(user, epoch=1)
            uow.interactions.add(rows, pending_until=_WHEN, received_at=_WHEN)
            uow.changes.append({row.interaction.pseudonym for row in rows})
        memories = [
            Memory(row.record_id, row.interaction.pseudonym, row.interaction.text or "", vector)
            for row, vector in zip(rows, vectors, strict=True)
        ]
        self.adapters.memory.add(memories)
        with self.adapters.uows.write() as uow:
            uow.interactions.mark_stored([row.record_id for row in rows], lease=_WHEN)

    def forget(self, name: str) -> RequestId:
        """Ask for an erasure of all."""
        command = ForgetCommand(pseudonym=self.user(name), scope=AllScope())
        return self.container.forget.accept(command).request.request_id

    def erase(self, request_id: RequestId) -> frozenset[RequestId]:
        """Work on a request as a worker does."""
        self.container.feed.acknowledge()
        return self.container.erase.execute(request_id)


@contextmanager
def opened(settings: Settings) -> Iterator[Household]:
    """Open a service and let its feed begin; nothing runs beside it."""
    prepare_database(settings)
    with ExitStack() as closing:
        adapters = Adapters(settings, closing)
        household = Household(adapters, container_of(adapters))
        household.container.restore.check()
        household.container.feed.start()
        yield household
        household.container.feed.stop()


def spec_of(household: Household, *, n_shards: int) -> CollectionSpec:
    """Return how the household's memories are stored."""
    embedder = household.adapters.embedder
    return CollectionSpec(embedder.embedder_id, embedder.dim, n_shards=n_shards)
