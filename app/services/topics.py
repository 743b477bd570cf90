"""Resolving a free-text topic: which memories and which items are about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from app.domain.errors import DependencyUnavailableError
from app.domain.models import HistoryEntry, Item, ItemId, Pseudonym, RecordId
from app.domain.topic import MEANING_THRESHOLD, MatchedBy, Topic, mentions, words_about
from app.ports.embedder import Embedder
from app.ports.memory_store import CatalogueIndex, MemoryStore

_log = structlog.get_logger(__name__)
Vectors = Mapping[ItemId, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Match:
    """Something that is about a topic.

    Args:
        nearness: cosine to the topic, in [-1, 1]; 1 where the words themselves occur.
    """

    by: MatchedBy
    nearness: float


class Topics:
    """Tells what is about a topic: the words occur, or the meaning is near."""

    def __init__(
        self,
        *,
        embedder: Embedder,
        memory: MemoryStore,
        catalogue: CatalogueIndex,
        threshold: float = MEANING_THRESHOLD,
    ) -> None:
        """Keep the collaborators; ``threshold`` is the least cosine, in (0, 1)."""
        self._embedder = embedder
        self._memory = memory
        self._catalogue = catalogue
        self._threshold = threshold

    def memories_about(
        self,
        text: str,
        *,
        pseudonym: Pseudonym,
        history: Sequence[HistoryEntry],
        items: Mapping[ItemId, Item],
    ) -> dict[RecordId, Match]:
        """Return which of a user's memories are about ``text``, and how that was found.

        A memory is judged by what its item is, by what the user wrote, and by its own vector,
        which holds both.
        """
        query = self._embedder.embed([text])[0]
        stored = [entry.record_id for entry in history if not entry.is_pending]
        vectors = self._memory.vectors(pseudonym, stored)
        of_items = self._catalogue.vectors(sorted(items))
        matches: dict[RecordId, Match] = {}
        for entry in history:
            near = [vectors[entry.record_id]] if entry.record_id in vectors else []
            item = items.get(entry.item_id) if entry.item_id is not None else None
            if item is not None and item.item_id in of_items:
                near.append(of_items[item.item_id])
            said = [words_about(item)] if item is not None else []
            said += [entry.text] if entry.text else []
            match = self._match(text, query, said=said, near=near)
            if match is not None:
                matches[entry.record_id] = match
        return matches

    def items_about(
        self, topics: Sequence[Topic], items: Sequence[Item], *, vectors: Vectors | None = None
    ) -> set[ItemId]:
        """Return which of ``items`` are about any of ``topics``.

        Args:
            topics: what a user does not want.
            items: candidates.
            vectors: their embeddings where the caller has them already.
        """
        if not topics or not items:
            return set()
        found = vectors
        if found is None:
            found = self._catalogue.vectors([one.item_id for one in items])
        queries = self._embedder.embed([topic.text for topic in topics])
        return {
            item.item_id
            for item in items
            for topic, query in zip(topics, queries, strict=True)
            if self._match(
                topic.text,
                query,
                said=[words_about(item)],
                near=[found[item.item_id]] if item.item_id in found else [],
            )
        }

    def items_about_or_mentioning(
        self, topics: Sequence[Topic], items: Sequence[Item]
    ) -> set[ItemId]:
        """Do as ``items_about``; without the vector store, by words alone."""
        try:
            return self.items_about(topics, items)
        except DependencyUnavailableError as error:
            _log.warning("topics_by_words_only", code=error.code)
            return {
                item.item_id
                for item in items
                if any(mentions(words_about(item), topic=topic.text) for topic in topics)
            }

    def _match(
        self,
        topic: str,
        query: NDArray[np.float32],
        *,
        said: Sequence[str],
        near: Sequence[NDArray[np.float32]],
    ) -> Match | None:
        if any(mentions(text, topic=topic) for text in said):
            return Match(MatchedBy.WORDS, 1.0)
        nearness = max((float(vector @ query) for vector in near), default=-1.0)
        return Match(MatchedBy.MEANING, nearness) if nearness >= self._threshold else None
