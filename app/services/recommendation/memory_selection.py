"""A user's memories: which are fetched, and which of them the LLM is shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from app.domain.models import EventKey, HistoryEntry, Item, ItemId, Kind, RecordId, Subject
from app.domain.recommendation.memory import strengths
from app.domain.recommendation.memory_selection import Choice, Strategy, select_memories
from app.domain.recommendation.opinion import OpinionRule, Stance
from app.domain.recommendation.prompt import ShownMemory
from app.domain.recommendation.topic import Topic
from app.ports.memory_store import MemoryStore
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.vectors import Vector

NEWEST: Final = 64
"""Memories that make the profile and compete for the prompt; of one item one."""

_OF_THE_SESSION: Final = RecordId("")
"""Stands for the record of what a visitor touched in this session: there is none."""
_MOMENT: Final = timedelta(microseconds=1)


class Recalled(NamedTuple):
    """A memory as far as an answer needs it.

    Args:
        text: the user's own words.
        record_id: where its own vector is stored; None where it is not, or is not needed.
    """

    item_id: ItemId | None
    kind: Kind
    value: float | None
    text: str | None = None
    record_id: RecordId | None = None


@dataclass(frozen=True, slots=True)
class UserSnapshot:
    """What one snapshot says of somebody.

    Args:
        subject: None where nothing is known of them, or may be used.
        newest: memories, newest first; of the session, if any, then what is stored of the user.
        touched: the items that they have had to do with, by kind.
        liked, disliked: the items that all this speaks for, and against, touched last first.
        topics: what they do not want.
        is_personal: whether a list made from it rests on what is stored of a user.
        has_words: whether anything of it is in the user's own words.
        kept_as: names what it was kept as, if it was.
    """

    subject: Subject | None = None
    newest: Sequence[Recalled] = ()
    touched: Mapping[Kind, Collection[ItemId]] = field(default_factory=dict)
    liked: Sequence[ItemId] = ()
    disliked: Sequence[ItemId] = ()
    topics: Sequence[Topic] = ()
    is_personal: bool = False
    has_words: bool = False
    kept_as: object = None

    @classmethod
    def of(
        cls,
        history: Sequence[HistoryEntry],
        *,
        opinions: OpinionRule,
        subject: Subject | None = None,
        topics: Sequence[Topic] = (),
    ) -> Self:
        """Return what a history says, newest first; without a subject it is of a session alone."""
        stances = opinions.opinions(history)
        touched: dict[Kind, list[ItemId]] = {}
        for one in history:
            if one.item_id is not None:
                touched.setdefault(one.kind, []).append(one.item_id)
        return cls(
            subject=subject,
            newest=_newest(history),
            touched=touched,
            liked=[one for one, stance in stances.items() if stance is Stance.FOR],
            disliked=[one for one, stance in stances.items() if stance is Stance.AGAINST],
            topics=topics,
            is_personal=subject is not None and any(one.record_id for one in history),
            has_words=any(one.text is not None for one in history),
        )

    @property
    def epoch(self) -> int:
        """The user's epoch; 0 where the list rests on no user."""
        return self.subject.epoch if self.subject is not None and self.is_personal else 0


def _newest(history: Sequence[HistoryEntry]) -> list[Recalled]:
    """Return the newest memories, an item's once: who reloads a page remembers no more of it.

    Of several without words what is more than a view stands for the item. What somebody said is
    a memory of its own.
    """
    newest: dict[str, HistoryEntry] = {}
    for entry in history:
        of_item = None if entry.text else entry.item_id
        key = f"record {entry.record_id}" if of_item is None else f"item {of_item}"
        before = newest.get(key)
        if before is None:
            if len(newest) < NEWEST:
                newest[key] = entry
        elif before.kind is Kind.VIEW and entry.kind is not Kind.VIEW:
            newest[key] = entry
    return [_recalled(one) for one in newest.values()]


def _has_meaning(entry: Recalled, catalogue: CatalogueSnapshot) -> bool:
    if entry.text or entry.item_id is None:
        return True
    found = catalogue.entries.get(entry.item_id)
    return found is not None and not found.item.is_stub


def _recalled(one: HistoryEntry) -> Recalled:
    stored = one.record_id if one.record_id and not one.is_pending else None
    return Recalled(one.item_id, one.kind, one.value, one.text, stored)


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
    """The newest memories with their embeddings (m, dim) and strengths (m,)."""

    entries: Sequence[Recalled]
    vectors: NDArray[np.float32]
    strength: NDArray[np.float32]

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
        """Return the newest memories with their embeddings.

        What is of an item and in nobody's words is remembered by what the catalogue says of the
        item: no key, no id and no moment of storing is in that. Only what the user said is
        fetched from the memory store, and left out until it is stored. A memory that is made of
        nothing but an item's id, as those of stubs are, has no meaning.
        """
        newest = [one for one in known.newest if _has_meaning(one, catalogue)]
        wordless = {one.item_id for one in newest if one.item_id is not None and one.text is None}
        having, rows = catalogue.matrix(sorted(wordless))
        of_items = dict(zip(having, rows, strict=True))
        said = [one for one in newest if one.text is not None or one.item_id not in of_items]
        own = self._own(known, said)
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
            entries, _matrix(vectors), np.asarray(strengths(entries), dtype=np.float32)
        )

    def _own(self, known: UserSnapshot, entries: Sequence[Recalled]) -> Mapping[RecordId, Vector]:
        """Return the memories' own vectors, as far as they are stored."""
        stored = [one.record_id for one in entries if one.record_id is not None]
        if known.subject is None or not stored:
            return {}
        return self._memory.vectors(known.subject.pseudonym, stored)

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
