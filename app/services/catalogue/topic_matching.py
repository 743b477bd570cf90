"""Resolving a free-text topic: which memories and which items are about it."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from app.domain.errors import DependencyUnavailableError
from app.domain.models import HistoryEntry, Item, ItemId, Pseudonym, RecordId
from app.domain.recommendation.topic import (
    CERTAIN_THRESHOLD,
    KIN_THRESHOLD,
    LIKENESS_THRESHOLD,
    MEANING_THRESHOLD,
    MatchedBy,
    Topic,
    has_meaning,
    kin_of,
    mentions,
    spaced_words,
    words_about,
)
from app.ports.embedder import Embedder
from app.ports.memory_store import MemoryStore
from app.services.catalogue.current import CurrentCatalogue
from app.services.catalogue.snapshot import CatalogueSnapshot

_log = structlog.get_logger(__name__)
_MOST_SENSES: Final = 1_000
_NAMESAKES: Final = 50
"""Items nearest to a topic among which those that name it are looked for."""


@dataclass(frozen=True, slots=True)
class Match:
    """Something that is about a topic.

    Args:
        nearness: cosine to the topic, in [-1, 1]; 1 where the words themselves occur.
    """

    by: MatchedBy
    nearness: float


@dataclass(frozen=True, slots=True)
class _Sense:
    """What a topic means here.

    Args:
        query: embedding of its words, shape (dim,), unit norm.
        namesakes: mean embedding of catalogue items that name it, unit norm; None without any.
        kin: whose those are that bear it in their titles, and their series.
    """

    query: NDArray[np.float32]
    namesakes: NDArray[np.float32] | None
    kin: frozenset[str] = frozenset()

    def nearness_of_words(self, vectors: Sequence[NDArray[np.float32]]) -> float:
        """Return the cosine of the nearest text; -1 without any."""
        return max((float(vector @ self.query) for vector in vectors), default=-1.0)

    def nearness_of_item(self, item: Item, vectors: Sequence[NDArray[np.float32]]) -> float:
        """Return the cosine of an item's nearest vector, if it is like those that name the topic.

        One by the same hand as those that bear it in their titles need not be as near: from
        ``KIN_THRESHOLD`` on it counts as just near enough.
        """
        like = self.nearness_of_words([vector for vector in vectors if self._is_like(vector)])
        is_kin = self.is_kin(item) and self.nearness_of_words(vectors) >= KIN_THRESHOLD
        return max(like, MEANING_THRESHOLD) if is_kin else like

    def is_kin(self, item: Item) -> bool:
        """Whether an item is by the same hand, or of the same series."""
        return bool(self.kin) and not self.kin.isdisjoint(kin_of(item))

    def _is_like(self, vector: NDArray[np.float32]) -> bool:
        if self.namesakes is None or float(vector @ self.query) >= CERTAIN_THRESHOLD:
            return True
        return float(vector @ self.namesakes) >= LIKENESS_THRESHOLD


class TopicMatcher:
    """Tells what is about a topic: the words occur, or the meaning is near."""

    def __init__(
        self,
        *,
        embedder: Embedder,
        memory: MemoryStore,
        catalogue: CurrentCatalogue,
        threshold: float = MEANING_THRESHOLD,
    ) -> None:
        """Take what it works with; ``threshold`` is the least cosine, in (0, 1)."""
        self._embedder = embedder
        self._memory = memory
        self._catalogue = catalogue
        self._threshold = threshold
        self._lock = threading.Lock()
        # Names that say nothing outside this process: a topic is somebody's.
        self._key = secrets.token_bytes(32)
        self._version = -1
        self._known: dict[bytes, _Sense] = {}

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
        catalogue = self._catalogue.now()
        (sense,) = self._senses([text], catalogue)
        stored = [entry.record_id for entry in history if entry.has_memory]
        vectors = self._memory.vectors(pseudonym, stored)
        of_items = catalogue.vectors.of(sorted(items))
        matches: dict[RecordId, Match] = {}
        for entry in history:
            own = [vectors[entry.record_id]] if entry.record_id in vectors else []
            item = items.get(entry.item_id) if entry.item_id is not None else None
            said = [words_about(item)] if item is not None else []
            said += [entry.text] if entry.text else []
            if item is None:
                nearness = sense.nearness_of_words(own)
            else:
                known = [of_items[item.item_id]] if item.item_id in of_items else []
                nearness = sense.nearness_of_item(item, [*own, *known])
            match = self._match(text, said=said, nearness=nearness)
            if match is not None:
                matches[entry.record_id] = match
        return matches

    def _senses(
        self, texts: Sequence[str], catalogue: CatalogueSnapshot, *, unkept: Collection[str] = ()
    ) -> list[_Sense]:
        """Return what topics mean in a catalogue; worked out once for each version of it.

        What a note speaks against is ``unkept``: it must not outlive the note in this process.
        """
        with self._lock:
            if self._version != catalogue.version:
                self._version, self._known = catalogue.version, {}
            known = {text: self._known.get(self._name(text)) for text in texts}
        lacking = [text for text, sense in known.items() if sense is None]
        made = {
            text: _sense(text, query, catalogue)
            for text, query in zip(lacking, self._embedder.embed(lacking), strict=True)
        }
        with self._lock:
            if self._version == catalogue.version:
                self._known |= {
                    self._name(text): sense for text, sense in made.items() if text not in unkept
                }
                for name in list(self._known)[:-_MOST_SENSES]:
                    del self._known[name]
        return [known[text] or made[text] for text in texts]

    def drop_meanings(self) -> None:
        """Hold nothing any more of what anybody said that they do not want."""
        with self._lock:
            self._known = {}

    def _name(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode(), key=self._key).digest()

    def items_about(
        self,
        topics: Sequence[Topic],
        items: Sequence[Item],
        *,
        catalogue: CatalogueSnapshot | None = None,
    ) -> set[ItemId]:
        """Return which of ``items`` are about any of ``topics``.

        Args:
            topics: what a user does not want.
            items: candidates.
            catalogue: the one that the answer is made from; None for the one of now.
        """
        if not topics or not items:
            return set()
        catalogue = catalogue or self._catalogue.now()
        meant = [topic.text for topic in topics if has_meaning(topic.text)]
        said = {topic.text for topic in topics if not topic.topic_id}
        senses = self._senses(meant, catalogue, unkept=said)
        near = self._are_near(items, senses, catalogue)
        phrases = [phrase for topic in topics if (phrase := spaced_words(topic.text))]
        return {
            item.item_id
            for item, is_near in zip(items, near, strict=True)
            if is_near or _names_any(spaced_words(words_about(item)), phrases)
        }

    def _are_near(
        self, items: Sequence[Item], senses: Sequence[_Sense], catalogue: CatalogueSnapshot
    ) -> NDArray[np.bool_]:
        """Return of each item whether it is near to any topic in meaning."""
        found, vectors = catalogue.vectors.matrix([item.item_id for item in items])
        if not found or not senses:
            return np.zeros(len(items), dtype=np.bool_)
        at = {item_id: row for row, item_id in enumerate(found)}
        # Rounded, so that no answer depends on which items and topics share a multiplication.
        words = np.stack([sense.query for sense in senses], axis=1).astype(np.float64)
        to_words = np.round(vectors.astype(np.float64) @ words, 6)
        is_like = np.ones_like(to_words, dtype=np.bool_)
        for column, sense in enumerate(senses):
            if sense.namesakes is not None:
                likeness = vectors.astype(np.float64) @ sense.namesakes.astype(np.float64)
                is_like[:, column] = np.round(likeness, 6) >= LIKENESS_THRESHOLD
        is_like |= to_words >= CERTAIN_THRESHOLD
        near = np.asarray(is_like & (to_words >= self._threshold))
        by_id = {item.item_id: item for item in items}
        for column, sense in enumerate(senses):
            if sense.kin:
                is_kin = np.array([sense.is_kin(by_id[item_id]) for item_id in found])
                near[:, column] |= is_kin & (to_words[:, column] >= KIN_THRESHOLD)
        is_any: NDArray[np.bool_] = np.asarray(near.any(axis=1))
        return np.array([item.item_id in at and is_any[at[item.item_id]] for item in items])

    def items_about_or_mentioning(
        self,
        topics: Sequence[Topic],
        items: Sequence[Item],
        *,
        catalogue: CatalogueSnapshot | None = None,
    ) -> set[ItemId]:
        """Do as ``items_about``; without the vector store, by words alone."""
        try:
            return self.items_about(topics, items, catalogue=catalogue)
        except DependencyUnavailableError as error:
            _log.warning("topics_by_words_only", code=error.code)
            return {
                item.item_id
                for item in items
                if any(mentions(words_about(item), topic=topic.text) for topic in topics)
            }

    def _match(self, topic: str, *, said: Sequence[str], nearness: float) -> Match | None:
        if any(mentions(text, topic=topic) for text in said):
            return Match(MatchedBy.WORDS, 1.0)
        if nearness < self._threshold or not has_meaning(topic):
            return None
        return Match(MatchedBy.MEANING, nearness)


def _names_any(words: str, phrases: Sequence[str]) -> bool:
    return any(phrase in words for phrase in phrases)


def _sense(text: str, query: NDArray[np.float32], catalogue: CatalogueSnapshot) -> _Sense:
    """Return what a topic means by the items that name it, among those that are near it."""
    near = [one.item_id for one in catalogue.nearest(query, top_n=_NAMESAKES)]
    items = catalogue.items(near)
    named = [one for one in items if mentions(words_about(items[one]), topic=text)]
    bearing = [items[one] for one in named if mentions(items[one].title, topic=text)]
    kin = frozenset[str]().union(*map(kin_of, bearing))
    _, vectors = catalogue.vectors.matrix(sorted(named))
    if not len(vectors):
        return _Sense(query, None, kin)
    mean: NDArray[np.float32] = vectors.mean(axis=0)
    return _Sense(query, mean / np.float32(np.linalg.norm(mean)), kin)
