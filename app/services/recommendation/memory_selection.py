"""A user's memories: which are fetched, and which of them the LLM is shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from app.domain.errors import DependencyUnavailableError, KeyUnavailableError
from app.domain.models import Item, ItemId, RecordId
from app.domain.recommendation.clusters import nearest
from app.domain.recommendation.memory import strengths
from app.domain.recommendation.memory_selection import Choice, Strategy, select_memories
from app.domain.recommendation.prompt import ShownMemory
from app.ports.memory_store import MemoryStore
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.vectors import Vector
from app.services.recommendation.user_snapshot import Recalled, UserSnapshot

_log = structlog.get_logger(__name__)
_PATIENCE_S: Final = 1.0
"""Seconds that an answer waits for what the user said; then it does without."""


@dataclass(frozen=True, slots=True)
class SelectableMemories:
    """The newest memories with their embeddings, m of shape (dim,), and strengths (m,).

    Args:
        is_missing: the store did not answer, so that what the user said is not among them.
    """

    entries: Sequence[Recalled]
    rows: Sequence[NDArray[np.float32]]
    strength: NDArray[np.float32]
    is_missing: bool = False

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Return the embeddings, shape (m, dim); made when asked for: not every answer needs it."""
        return _matrix(self.rows)

    @property
    def item_ids(self) -> set[ItemId]:
        """Return what they are of."""
        return {one.item_id for one in self.entries if one.item_id is not None}

    def speaking_for(self, disliked: Collection[ItemId]) -> SelectableMemories:
        """Return the memories that are of nothing disliked, and no note against anything."""
        kept = [
            at
            for at, one in enumerate(self.entries)
            if one.item_id not in disliked and one.spoken_against is None
        ]
        entries = [self.entries[at] for at in kept]
        return SelectableMemories(entries, [self.rows[at] for at in kept], self.strength[kept])

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
        token_budget: Callable[[], int],
    ) -> None:
        """Take the store, and what memories may cost.

        ``token_costs`` tells about how many tokens each memory takes in a prompt, meant to be
        right in sums; those shown may take what ``token_budget`` tells.
        """
        self._memory = memory
        self._token_costs = token_costs
        self._token_budget = token_budget

    def recall(self, known: UserSnapshot, catalogue: CatalogueSnapshot) -> SelectableMemories:
        """Return the newest memories with their embeddings.

        What is of an item and in nobody's words is remembered by what the catalogue says of the
        item: no key, no id and no moment of storing is in that. Only what the user said is
        fetched from the memory store, and left out until it is stored. A memory that is made of
        nothing but an item's id, as those of stubs are, has no meaning.

        Where the store does not answer, what the user said is left out, and what they did still
        says who is alike.

        Raises:
            KeyUnavailableError: the key vault does not answer.
        """
        newest = [one for one in known.newest if _has_meaning(one, catalogue)]
        wordless = {one.item_id for one in newest if one.item_id is not None and one.text is None}
        having, rows = catalogue.matrix(sorted(wordless))
        of_items = dict(zip(having, rows, strict=True))
        said = [one for one in newest if one.text is not None or one.item_id not in of_items]
        is_missing = False
        try:
            own = self._own(known, said)
        except KeyUnavailableError:
            raise
        except DependencyUnavailableError as error:
            _log.warning("recommendation_degraded", code=error.code, store="memory")
            own, is_missing = {}, True
        entries: list[Recalled] = []
        vectors: list[Vector] = []
        for entry in newest:
            vector = own.get(entry.record_id) if entry.record_id is not None else None
            if vector is None and entry.item_id is not None and entry.text is None:
                vector = of_items.get(entry.item_id)
            if vector is not None:
                entries.append(entry)
                vectors.append(vector)
        return SelectableMemories(
            entries,
            vectors,
            np.asarray(strengths(entries), dtype=np.float32),
            is_missing=is_missing,
        )

    def _own(self, known: UserSnapshot, entries: Sequence[Recalled]) -> Mapping[RecordId, Vector]:
        """Return the memories' own vectors, as far as they are stored."""
        stored = [one.record_id for one in entries if one.record_id is not None]
        if known.subject is None or not stored:
            return {}
        return self._memory.vectors(known.subject.pseudonym, stored, within_s=_PATIENCE_S)

    def choose(
        self,
        memories: SelectableMemories,
        *,
        strategy: Strategy,
        candidates: Sequence[ItemId],
        catalogue: CatalogueSnapshot,
    ) -> SelectableMemories:
        """Return the memories to show, oldest first, within the budget of tokens.

        Args:
            memories: what from.
            strategy: how.
            candidates: ids of the candidates.
            catalogue: what says what candidates and remembered items are.
        """
        remembered = memories.item_ids
        vectors = catalogue.vectors.of({*candidates, *remembered})
        choice = Choice(
            vectors=memories.vectors,
            strength=memories.strength,
            clusters=nearest(catalogue.centres, _by_item(memories, vectors)),
            costs=self._token_costs(memories.as_shown(catalogue.items(remembered))),
            budget=self._token_budget(),
        )
        queries = _matrix([vectors[item_id] for item_id in candidates if item_id in vectors])
        # As they came about, whatever the candidates: an answer's prompt begins as the last one.
        indices = sorted(select_memories(strategy, choice, candidates=queries), reverse=True)
        return SelectableMemories(
            [memories.entries[index] for index in indices],
            [memories.rows[index] for index in indices],
            memories.strength[indices],
        )


def _by_item(
    memories: SelectableMemories, vectors: Mapping[ItemId, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return the vectors of the remembered items; of what is about no item, the memory's own."""
    return _matrix(
        [
            own if entry.item_id is None else vectors.get(entry.item_id, own)
            for entry, own in zip(memories.entries, memories.rows, strict=True)
        ]
    )


def _matrix(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.stack(rows) if rows else np.empty((0, 0), dtype=np.float32)


def _has_meaning(entry: Recalled, catalogue: CatalogueSnapshot) -> bool:
    if entry.text or entry.item_id is None:
        return True
    found = catalogue.entries.get(entry.item_id)
    return found is not None and not found.item.is_stub
