"""A user's memories: which are fetched, and which of them the LLM is shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from app.domain.errors import DependencyUnavailableError, KeyUnavailableError
from app.domain.models import EventKey, HistoryEntry, Item, ItemId, Kind, RecordId, Subject
from app.domain.recommendation.memory import strengths
from app.domain.recommendation.memory_selection import Choice, Strategy, select_memories
from app.domain.recommendation.prompt import ShownMemory
from app.domain.recommendation.topic import Topic
from app.ports.memory_store import MemoryStore
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.vectors import Vector

_log = structlog.get_logger(__name__)
NEWEST: Final = 64
"""Memories that make the profile and compete for the prompt."""

_OF_THE_SESSION: Final = RecordId("")
"""Stands for the record of what a visitor touched in this session: there is none."""
_MOMENT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class UserSnapshot:
    """What one snapshot says of somebody: history, newest first, and unwanted topics.

    Args:
        subject: None where nothing is known of them, or may be used.
        history: of the session, if any, then what is stored of the user.
    """

    subject: Subject | None = None
    history: Sequence[HistoryEntry] = ()
    topics: Sequence[Topic] = ()

    @property
    def is_personal(self) -> bool:
        """Whether a list made from it rests on what is stored of a user."""
        return self.subject is not None and any(one.record_id for one in self.history)

    @property
    def epoch(self) -> int:
        """The user's epoch; 0 where the list rests on no user."""
        return self.subject.epoch if self.subject is not None and self.is_personal else 0


def session_history(item_ids: Sequence[ItemId], *, now: datetime) -> list[HistoryEntry]:
    """Return what a visitor touched in this session, newest first, as a history."""
    return [
        HistoryEntry(
            record_id=_OF_THE_SESSION,
            event_key=EventKey(""),
            kind=Kind.VIEW,
            occurred_at=now - place * _MOMENT,
            item_id=item_id,
            value=None,
            text=None,
            is_pending=False,
        )
        for place, item_id in enumerate(dict.fromkeys(item_ids))
    ]


@dataclass(frozen=True, slots=True)
class SelectableMemories:
    """The newest memories with their embeddings (m, dim) and strengths (m,).

    Args:
        is_missing: the store did not answer, so that there are none to tell anything by.
    """

    entries: list[HistoryEntry]
    vectors: NDArray[np.float32]
    strength: NDArray[np.float32]
    is_missing: bool = False

    def without(self, item_ids: Collection[ItemId]) -> SelectableMemories:
        """Return the memories that are of none of these items."""
        kept = [at for at, one in enumerate(self.entries) if one.item_id not in item_ids]
        entries = [self.entries[at] for at in kept]
        return SelectableMemories(entries, self.vectors[kept], self.strength[kept])

    def profile(self) -> NDArray[np.float32] | None:
        """Return the strength-weighted mean, unit norm; None without memories."""
        mean = (self.vectors * self.strength[:, None]).sum(axis=0)
        norm = float(np.linalg.norm(mean))
        return mean / norm if norm > 0 else None

    def as_shown(self, items: Mapping[ItemId, Item]) -> list[ShownMemory]:
        """Return what the prompt says of them, given what the catalogue says of ``items``."""
        return [
            ShownMemory(
                kind=entry.kind,
                item=items.get(entry.item_id) if entry.item_id is not None else None,
                value=entry.value,
                strength=float(strength),
                text=entry.text,
            )
            for entry, strength in zip(self.entries, self.strength, strict=True)
        ]


class MemorySelection:
    """Fetches memories and chooses among them. Holds nothing of anyone between two calls."""

    def __init__(
        self,
        *,
        memory: MemoryStore,
        token_costs: Callable[[Sequence[ShownMemory]], list[int]],
        token_budget: int,
    ) -> None:
        """Take the store, and what memories may cost.

        ``token_costs`` tells about how many tokens each memory takes in a prompt, meant to be
        right in sums; those shown may take ``token_budget``.
        """
        self._memory = memory
        self._token_costs = token_costs
        self._token_budget = token_budget

    def recall(self, known: UserSnapshot, catalogue: CatalogueSnapshot) -> SelectableMemories:
        """Fetch the embeddings of the newest memories; those not stored yet are left out.

        What was touched in the session is remembered by what the catalogue says of it. Where the
        store does not answer there are none: what the user did still says who is alike.

        Raises:
            KeyUnavailableError: the key vault does not answer.
        """
        try:
            return self._recalled(known, catalogue)
        except KeyUnavailableError:
            raise
        except DependencyUnavailableError as error:
            _log.warning("recommendation_degraded", code=error.code, store="memory")
            return SelectableMemories(
                [], _matrix([]), np.empty(0, dtype=np.float32), is_missing=True
            )

    def _recalled(self, known: UserSnapshot, catalogue: CatalogueSnapshot) -> SelectableMemories:
        newest = [entry for entry in known.history[:NEWEST] if not entry.is_pending]
        stored = [entry.record_id for entry in newest if entry.record_id]
        found: Mapping[RecordId, Vector] = {}
        if known.subject is not None and stored:
            found = self._memory.vectors(known.subject.pseudonym, stored)
        touched = {entry.item_id for entry in newest if not entry.record_id and entry.item_id}
        of_items = catalogue.vectors.of(touched) if touched else {}
        entries: list[HistoryEntry] = []
        vectors: list[Vector] = []
        for entry in newest:
            vector = (
                found.get(entry.record_id)
                if entry.record_id
                else of_items.get(entry.item_id or ItemId(""))
            )
            if vector is not None:
                entries.append(entry)
                vectors.append(vector)
        return SelectableMemories(
            entries, _matrix(vectors), np.asarray(strengths(entries), dtype=np.float32)
        )

    def choose(
        self,
        memories: SelectableMemories,
        *,
        strategy: Strategy,
        candidates: Sequence[ItemId],
        catalogue: CatalogueSnapshot,
    ) -> SelectableMemories:
        """Return the memories to show, most telling first, within the budget of tokens.

        Args:
            memories: what from.
            strategy: how.
            candidates: ids of the candidates.
            catalogue: what says what candidates and remembered items are.
        """
        remembered = {one.item_id for one in memories.entries if one.item_id is not None}
        vectors = catalogue.vectors.of({*candidates, *remembered})
        choice = Choice(
            vectors=memories.vectors,
            strength=memories.strength,
            clusters=catalogue.cluster_of(_by_item(memories, vectors)),
            costs=self._token_costs(memories.as_shown(catalogue.items(remembered))),
            budget=self._token_budget,
        )
        queries = _matrix([vectors[item_id] for item_id in candidates if item_id in vectors])
        indices = select_memories(strategy, choice, candidates=queries)
        return SelectableMemories(
            [memories.entries[index] for index in indices],
            memories.vectors[indices],
            memories.strength[indices],
        )


def _by_item(
    memories: SelectableMemories, vectors: Mapping[ItemId, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return the vectors of the remembered items; of what is about no item, the memory's own."""
    return _matrix(
        [
            own if entry.item_id is None else vectors.get(entry.item_id, own)
            for entry, own in zip(memories.entries, memories.vectors, strict=True)
        ]
    )


def _matrix(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.stack(rows) if rows else np.empty((0, 0), dtype=np.float32)
