"""Making a list from a user's own memory: profile, candidates, memories to show, order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.memory import strengths
from app.domain.models import HistoryEntry, Item, ItemId, Subject
from app.domain.prompt import ShownMemory
from app.domain.selection import Strategy, select_memories
from app.domain.topic import Topic
from app.ports.clock import Clock
from app.ports.memory_store import CatalogueIndex, MemoryStore
from app.ports.unit_of_work import UnitsOfWork
from app.services.candidates import Candidates
from app.services.ranking import RankedBy, Ranking, RankingRequest
from app.services.topics import Topics

_TOPIC_OVERFETCH: Final = 2
"""How many times the candidates are gathered for someone who wants some of them not."""


@dataclass(frozen=True, slots=True)
class PersonaliseConfig:
    """How much of a user's memory takes part.

    Args:
        window: candidates shown to the LLM, 1 to 52.
        profile_memories: newest memories that make the profile and compete for the prompt.
        prompt_memories: most memories shown to the LLM.
        because: most memories named with each recommended item.
    """

    window: int = 50
    profile_memories: int = 64
    prompt_memories: int = 20
    because: int = 2


@dataclass(frozen=True, slots=True)
class Known:
    """What one snapshot says of a user: live history, newest first, and unwanted topics."""

    subject: Subject
    history: Sequence[HistoryEntry]
    topics: Sequence[Topic] = ()


@dataclass(frozen=True, slots=True)
class Recommended:
    """A recommended item and the remembered items that speak for it, strongest first.

    Args:
        score: in (0, 1], falling; a place in the list and no probability.
    """

    item: Item
    score: float
    because: Sequence[Item] = ()


@dataclass(frozen=True, slots=True)
class Personalised:
    """A list made for one user.

    Args:
        prompt_id: the wording the LLM ranked under; None where it did not.
        timings_ms: wall milliseconds by stage.
    """

    items: Sequence[Recommended]
    ranked_by: RankedBy
    is_degraded: bool
    prompt_id: str | None
    timings_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Memories:
    """The newest memories with their embeddings (m, dim) and strengths (m,)."""

    entries: list[HistoryEntry]
    vectors: NDArray[np.float32]
    strength: NDArray[np.float32]

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


@dataclass(frozen=True, slots=True)
class _Pool:
    """Candidates, best first, with what the catalogue says of them and of remembered items."""

    ids: list[ItemId]
    items: dict[ItemId, Item]
    vectors: dict[ItemId, NDArray[np.float32]]


class _Stopwatch:
    """Milliseconds by stage."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_s = clock.monotonic_s()
        self.laps_ms: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now_s = self._clock.monotonic_s()
        self.laps_ms[name] = round(1_000 * (now_s - self._last_s), 3)
        self._last_s = now_s


class Personaliser:
    """Turns a user's history into a list. Holds nothing of anyone between two calls."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        memory: MemoryStore,
        catalogue: CatalogueIndex,
        candidates: Candidates,
        ranking: Ranking,
        topics: Topics,
        clock: Clock,
        config: PersonaliseConfig,
    ) -> None:
        """Keep the collaborators."""
        self._uows = uows
        self._memory = memory
        self._catalogue = catalogue
        self._candidates = candidates
        self._ranking = ranking
        self._topics = topics
        self._clock = clock
        self._config = config

    def personalise(
        self, known: Known, *, n: int, strategy: Strategy, exclude: frozenset[ItemId]
    ) -> Personalised:
        """Return up to ``n`` items the user has not seen, none of ``exclude``, none twice."""
        watch = _Stopwatch(self._clock)
        memories = self._remember(known)
        watch.lap("memory")
        pool = self._gather(known, memories, exclude=exclude, n=n)
        watch.lap("candidates")
        shown = self._choose(memories, pool, strategy=strategy)
        watch.lap("selection")
        ordered = self._ranking.order(
            RankingRequest(
                pseudonym=known.subject.pseudonym,
                epoch=known.subject.epoch,
                memories=shown.as_shown(pool.items),
                candidates=[pool.items[item_id] for item_id in pool.ids],
            )
        )
        watch.lap("ranking")
        chosen = [
            Recommended(
                item=pool.items[one.item_id],
                score=round(one.score, 6),
                because=self._because(one.item_id, memories, pool),
            )
            for one in ordered.items[:n]
        ]
        watch.lap("because")
        return Personalised(
            chosen, ordered.ranked_by, ordered.is_degraded, ordered.prompt_id, watch.laps_ms
        )

    def _gather(
        self, known: Known, memories: _Memories, *, exclude: frozenset[ItemId], n: int
    ) -> _Pool:
        """Return the candidates, less what the user does not want to hear of."""
        seen = {entry.item_id for entry in known.history if entry.item_id is not None}
        evidence = [
            entry.item_id
            for entry in known.history
            if entry.item_id is not None and entry.kind.is_evidence
        ]
        wanted = max(self._config.window, n)
        found = self._candidates.gather(
            evidence=evidence,
            profile=memories.profile(),
            exclude=seen | exclude,
            top_n=wanted * _TOPIC_OVERFETCH if known.topics else wanted,
        )
        remembered = _item_ids(memories.entries)
        with self._uows.read() as uow:
            items = uow.items.get_many({*(one.item_id for one in found), *remembered})
        ids = [one.item_id for one in found if one.item_id in items]
        vectors = self._catalogue.vectors([*ids, *sorted(remembered)])
        unwanted = self._topics.items_about(
            known.topics, [items[item_id] for item_id in ids], vectors=vectors
        )
        kept = [item_id for item_id in ids if item_id not in unwanted][:wanted]
        return _Pool(kept, items, vectors)

    def _remember(self, known: Known) -> _Memories:
        """Fetch the embeddings of the newest memories; those not stored yet are left out."""
        newest = [
            entry
            for entry in known.history[: self._config.profile_memories]
            if not entry.is_pending
        ]
        found = self._memory.vectors(known.subject.pseudonym, [entry.record_id for entry in newest])
        entries = [entry for entry in newest if entry.record_id in found]
        return _Memories(
            entries,
            _matrix([found[entry.record_id] for entry in entries]),
            np.asarray(strengths(entries), dtype=np.float32),
        )

    def _choose(self, memories: _Memories, pool: _Pool, *, strategy: Strategy) -> _Memories:
        vectors = [pool.vectors[item_id] for item_id in pool.ids if item_id in pool.vectors]
        indices = select_memories(
            strategy,
            vectors=memories.vectors,
            strength=memories.strength,
            candidates=_matrix(vectors),
            limit=self._config.prompt_memories,
        )
        return _Memories(
            [memories.entries[index] for index in indices],
            memories.vectors[indices],
            memories.strength[indices],
        )

    def _because(self, item_id: ItemId, memories: _Memories, pool: _Pool) -> list[Item]:
        """Return the remembered items closest in meaning to a recommended one, each once.

        By the catalogue's vectors, not the memories' own: those come back from their rotation
        with the last bits changed, and would break ties by chance.
        """
        target = pool.vectors.get(item_id)
        if target is None:
            return []
        strongest: dict[ItemId, float] = {}
        for entry, strength in zip(memories.entries, memories.strength, strict=True):
            if entry.item_id is not None and entry.item_id in pool.vectors:
                nearness = float(pool.vectors[entry.item_id] @ target) * float(strength)
                strongest[entry.item_id] = max(nearness, strongest.get(entry.item_id, nearness))
        best = sorted(strongest, key=lambda one: (-strongest[one], one))
        return [pool.items[one] for one in best if one in pool.items][: self._config.because]


def _matrix(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.stack(rows) if rows else np.empty((0, 0), dtype=np.float32)


def _item_ids(entries: Sequence[HistoryEntry]) -> set[ItemId]:
    return {entry.item_id for entry in entries if entry.item_id is not None}
