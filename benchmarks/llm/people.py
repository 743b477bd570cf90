"""People of a data set as the service sees them, on the split that leaks nothing.

Each person's items are split 8:1:1 (``benchmarks.data.split``) before anything else. Counts,
memories and prompts know the training part alone; what is asked for is the test part (or, where
something is to be chosen, the validation part). Candidates are the service's own: EASE, content
and popularity, fused by ``app.services.recommendation.candidates`` with its defaults.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from app.adapters.datasets.registry import open_dataset
from app.adapters.embedders.static import StaticEmbedder
from app.adapters.llm.prompts import Prompting
from app.adapters.neighbours import ExactNeighbours
from app.domain.models import (
    EventKey,
    HistoryEntry,
    Interaction,
    Item,
    ItemId,
    Pseudonym,
    RecordId,
    ReportedInteraction,
)
from app.domain.recommendation.clusters import nearest, spherical_k_means
from app.domain.recommendation.memory import describe_item, embedded_text, strengths
from app.domain.recommendation.memory_selection import Choice, Strategy, select_memories
from app.domain.recommendation.opinion import OpinionRule
from app.domain.recommendation.prompt import ShownMemory
from app.ports.dataset import DatasetKind, InteractionRecord, ItemRecord
from app.services.catalogue.snapshot import N_CLUSTERS, CatalogueSnapshot
from app.services.catalogue.vectors import ItemVectors
from app.services.recommendation.because import because
from app.services.recommendation.candidates import CandidateConfig, Candidates, Wish
from app.services.recommendation.memory_selection import SelectableMemories
from app.services.recommendation.rules import Rules
from app.services.recommendation.user_snapshot import NEWEST, Recalled
from benchmarks.data import Ints, split
from tests.fakes_memory import FakeCatalogueIndex

Part = Literal["valid", "test"]
WINDOW: Final = 50


@dataclass(frozen=True, slots=True)
class Person:
    """One person under the protocol.

    Args:
        number: of the user, in the order of the data set's ids.
        history: what happened with training items, newest first.
        never: items of the other held-out part: neither shown nor ranked.
        wanted: held-out items that a good list has.
    """

    number: int
    history: list[HistoryEntry]
    never: frozenset[ItemId]
    wanted: frozenset[ItemId]

    @property
    def seen(self) -> frozenset[ItemId]:
        """The items of the history."""
        return frozenset(one.item_id for one in self.history if one.item_id is not None)


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be ranked for a person.

    Args:
        candidates: best first by the fused order.
        memories: by strategy, those shown to the LLM, oldest first.
        cosine: of the embedder between each candidate and the person's profile, shape (c,).
    """

    person: Person
    candidates: list[Item]
    memories: dict[Strategy, list[ShownMemory]]
    cosine: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Raw:
    """A data set as it is: items by id, and each person's interactions."""

    items: dict[ItemId, Item]
    interactions: list[list[ReportedInteraction]]

    @classmethod
    def read(cls, kind: DatasetKind) -> Raw:
        """Read the demo set, or ML-100K from ``LETHE_MOVIELENS_DIR``."""
        path = Path(os.environ["LETHE_MOVIELENS_DIR"]) if kind is DatasetKind.ML_100K else None
        dataset = open_dataset(kind, path, now=datetime.now(UTC))
        items = {
            one.item.item_id: one.item for one in dataset.items() if isinstance(one, ItemRecord)
        }
        by_user: dict[str, list[ReportedInteraction]] = {}
        for record in dataset.interactions():
            if isinstance(record, InteractionRecord):
                by_user.setdefault(record.interaction.user, []).append(record.interaction)
        return cls(items, [by_user[user] for user in sorted(by_user)])


class People:
    """Everybody of a data set, and the service's parts over the training rows alone."""

    def __init__(self, raw: Raw, *, part: Part) -> None:
        """Split, count, embed and cluster."""
        self.items = raw.items
        self.persons = split_people(raw, part=part)
        self._embedder = StaticEmbedder()
        self._index = FakeCatalogueIndex()
        listed = list(raw.items.values())
        self._index.upsert(listed, self._embedder.embed([describe_item(one) for one in listed]))
        vectors = np.stack(list(self._index.rows.values()))
        self._centres = spherical_k_means(vectors, k=N_CLUSTERS)
        neighbours = ExactNeighbours()
        neighbours.build(
            (Pseudonym(f"{one.number:064x}"), OpinionRule().liked(one.history))
            for one in self.persons
        )
        neighbours.refresh()
        self._candidates = Candidates(neighbours=neighbours, config=CandidateConfig())
        self._catalogue = CatalogueSnapshot.of(listed, ItemVectors(self._index))

    def cases(
        self, *, strategies: Sequence[Strategy], prompting: Prompting, only: Iterable[int]
    ) -> list[Case]:
        """Return the cases of the persons of these numbers who want anything at all."""
        chosen = [self.persons[number] for number in only]
        return [
            self._case(one, strategies=strategies, prompting=prompting)
            for one in chosen
            if one.wanted and one.history
        ]

    def _case(
        self, person: Person, *, strategies: Sequence[Strategy], prompting: Prompting
    ) -> Case:
        memories = self._recalled(person)
        profile = memories.profile()
        found = self._candidates.gather(
            Wish(OpinionRule().liked(person.history), profile=profile),
            Rules.plain(self._catalogue, exclude=person.seen | person.never),
            top_n=WINDOW,
        )
        candidates = [self.items[one.item_id] for one in found]
        queries = np.stack([self._index.rows[one.item_id] for one in candidates])
        choice = Choice(
            vectors=memories.vectors,
            strength=memories.strength,
            clusters=nearest(self._centres, memories.vectors),
            costs=prompting.costs(memories.as_shown(self.items)),
            budget=prompting.memory_tokens,
        )
        shown = {}
        for strategy in strategies:
            indices = sorted(select_memories(strategy, choice, candidates=queries), reverse=True)
            all_shown = memories.as_shown(self.items)
            shown[strategy] = [all_shown[index] for index in indices]
        cosine = queries @ profile if profile is not None else np.zeros(len(candidates), np.float32)
        return Case(person, candidates, shown, cosine)

    def spoken_for(self, person: Person, *, top_n: int) -> list[tuple[Item, list[Item]]]:
        """Return the first candidates, each with the two remembered items that speak for it."""
        memories = self._recalled(person)
        found = self._candidates.gather(
            Wish(OpinionRule().liked(person.history), profile=memories.profile()),
            Rules.plain(self._catalogue, exclude=person.seen | person.never),
            top_n=top_n,
        )
        ids = [one.item_id for one in found]
        speaking = because(ids, memories, self._catalogue, most=2)
        return [(self.items[one], speaking.get(one, [])) for one in ids]

    def _recalled(self, person: Person) -> SelectableMemories:
        entries = person.history[:NEWEST]
        texts = [embedded_text(_interaction(one), self._item(one)) for one in entries]
        strength = np.asarray(strengths(entries), dtype=np.float32)
        recalled = [Recalled(one.item_id, one.kind, one.value, one.text) for one in entries]
        return SelectableMemories(recalled, list(self._embedder.embed(texts)), strength)

    def _item(self, entry: HistoryEntry) -> Item | None:
        return None if entry.item_id is None else self.items[entry.item_id]


def split_people(raw: Raw, *, part: Part) -> list[Person]:
    """Split everybody's items; notes, which are about no item, belong to the history."""
    ids = sorted(raw.items)
    numbers = {item_id: number for number, item_id in enumerate(ids)}
    histories: list[Ints] = [
        np.array(sorted({numbers[one.item_id] for one in mine if one.item_id is not None}))
        for mine in raw.interactions
    ]
    parts = split(histories)
    persons = []
    for user, mine in enumerate(raw.interactions):
        train, valid, test = (
            frozenset(ids[number] for number in one[user].tolist())
            for one in (parts.train, parts.valid, parts.test)
        )
        kept = [one for one in mine if one.item_id is None or one.item_id in train]
        kept.sort(key=lambda one: (one.occurred_at, one.event_id), reverse=True)
        is_test = part == "test"
        persons.append(
            Person(
                number=user,
                history=[_entry(one) for one in kept],
                # While something is chosen, nobody knows yet what the test part is.
                never=valid if is_test else frozenset(),
                wanted=test if is_test else valid,
            )
        )
    return persons


def _entry(reported: ReportedInteraction) -> HistoryEntry:
    return HistoryEntry(
        record_id=RecordId(reported.event_id),
        event_key=EventKey(reported.event_id),
        kind=reported.kind,
        occurred_at=reported.occurred_at,
        item_id=reported.item_id,
        value=reported.value,
        text=reported.text,
        is_pending=False,
    )


def _interaction(entry: HistoryEntry) -> Interaction:
    return Interaction(
        pseudonym=Pseudonym(""),
        event_key=entry.event_key,
        kind=entry.kind,
        occurred_at=entry.occurred_at,
        item_id=entry.item_id,
        value=entry.value,
        text=entry.text,
    )
