"""Making a list from a user's own memory: profile, candidates, memories to show, order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.models import HistoryEntry, Item, ItemId
from app.domain.recommendation.memory_selection import Strategy
from app.domain.recommendation.opinion import OpinionRule, Stance
from app.domain.recommendation.prompt import ShownMemory
from app.domain.recommendation.reasons import CitedReason
from app.domain.recommendation.repulsion import repelled
from app.ports.clock import Clock
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.topic_matching import TopicMatcher
from app.services.recommendation.candidates import Candidates
from app.services.recommendation.memory_selection import (
    MemorySelection,
    SelectableMemories,
    UserSnapshot,
)
from app.services.recommendation.reranking import RankedBy, Reranker, RerankingRequest

_OVERFETCH: Final = 2
"""How many times the candidates are gathered for someone who wants some of them not."""


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """How long the lists are.

    Args:
        window: candidates shown to the LLM, 1 to 52.
        because: most memories named with each recommended item.
        opinions: what of the history speaks for an item.
    """

    window: int = 50
    because: int = 2
    opinions: OpinionRule = field(default_factory=OpinionRule)


@dataclass(frozen=True, slots=True)
class RecommendedItem:
    """A recommended item and the remembered items that speak for it, strongest first.

    Args:
        score: in (0, 1], falling; a place in the list and no probability.
        reason: the LLM's sentence, where it was asked for one and gave one.
    """

    item: Item
    score: float
    because: Sequence[Item] = ()
    reason: CitedReason | None = None


@dataclass(frozen=True, slots=True)
class RankedList:
    """A list made for one user.

    Args:
        shown: the memories that were chosen for the LLM, most telling first; none without one.
        prompt_id: the wording the LLM ranked under; None where it did not.
        timings_ms: wall milliseconds by stage.
    """

    items: Sequence[RecommendedItem]
    ranked_by: RankedBy
    is_degraded: bool
    shown: Sequence[ShownMemory]
    prompt_id: str | None
    timings_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Pool:
    """Candidates, best first, with what the catalogue says of them and of remembered items."""

    ids: list[ItemId]
    items: Mapping[ItemId, Item]
    vectors: Mapping[ItemId, NDArray[np.float32]]
    catalogue: CatalogueSnapshot


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


class RecommendationPipeline:
    """Turns a user's history into a list. Holds nothing of anyone between two calls."""

    def __init__(
        self,
        *,
        recall: MemorySelection,
        candidates: Candidates,
        ranking: Reranker,
        topics: TopicMatcher,
        clock: Clock,
        config: PipelineConfig,
    ) -> None:
        self._recall = recall
        self._candidates = candidates
        self._ranking = ranking
        self._topics = topics
        self._clock = clock
        self._config = config

    def personalise(
        self, known: UserSnapshot, *, n: int, strategy: Strategy, exclude: frozenset[ItemId]
    ) -> RankedList:
        """Return up to ``n`` items the user has not seen, none of ``exclude``, none twice."""
        watch = _Stopwatch(self._clock)
        memories = self._recall.recall(known)
        watch.lap("memory")
        opinions = self._config.opinions.opinions(known.history)
        against = {one for one, stance in opinions.items() if stance is Stance.AGAINST}
        pool = self._gather(known, memories, opinions, exclude=exclude, n=n)
        watch.lap("candidates")
        shown = self._shown(memories, pool, strategy=strategy)
        watch.lap("selection")
        ordered = self._ranking.order(
            RerankingRequest(
                pseudonym=known.subject.pseudonym,
                epoch=known.subject.epoch,
                memories=shown,
                candidates=[pool.items[item_id] for item_id in pool.ids],
            )
        )
        watch.lap("ranking")
        best = ordered.items[:n]
        because = self._because([one.item_id for one in best], memories.without(against), pool)
        chosen = [
            RecommendedItem(
                item=pool.items[one.item_id],
                score=round(one.score, 6),
                because=because.get(one.item_id, ()),
            )
            for one in best
        ]
        watch.lap("because")
        return RankedList(
            chosen, ordered.ranked_by, ordered.is_degraded, shown, ordered.prompt_id, watch.laps_ms
        )

    def _shown(
        self, memories: SelectableMemories, pool: _Pool, *, strategy: Strategy
    ) -> list[ShownMemory]:
        """Return the memories for the LLM; none where there is none to show them to."""
        if not self._ranking.has_model:
            return []
        chosen = self._recall.choose(
            memories,
            strategy=strategy,
            candidates=pool.ids,
            catalogue=pool.catalogue,
        )
        return chosen.as_shown(pool.items)

    def _gather(
        self,
        known: UserSnapshot,
        memories: SelectableMemories,
        opinions: Mapping[ItemId, Stance],
        *,
        exclude: frozenset[ItemId],
        n: int,
    ) -> _Pool:
        """Return the candidates, less what the user does not want to hear of."""
        seen = {entry.item_id for entry in known.history if entry.item_id is not None}
        liked = [one for one, stance in opinions.items() if stance is Stance.FOR]
        disliked = [one for one, stance in opinions.items() if stance is Stance.AGAINST]
        wanted = max(self._config.window, n)
        found = self._candidates.gather(
            catalogue=known.catalogue,
            evidence=liked,
            disliked=disliked,
            profile=memories.without(set(disliked)).profile(),
            exclude=seen | exclude,
            top_n=wanted * _OVERFETCH if known.topics or disliked else wanted,
        )
        remembered = _item_ids(memories.entries)
        wanted_items = {*(one.item_id for one in found), *remembered, *disliked}
        items = known.catalogue.items(wanted_items)
        vectors = known.catalogue.vectors.of(wanted_items)
        ids = [one.item_id for one in found if one.item_id in items]
        unwanted = self._topics.items_about(
            known.topics, [items[item_id] for item_id in ids], catalogue=known.catalogue
        )
        unwanted |= _repelled(ids, vectors, liked=liked, disliked=disliked)
        kept = [item_id for item_id in ids if item_id not in unwanted][:wanted]
        return _Pool(kept, items, vectors, known.catalogue)

    def _because(
        self, item_ids: Sequence[ItemId], memories: SelectableMemories, pool: _Pool
    ) -> dict[ItemId, list[Item]]:
        """Return the remembered items closest in meaning to each recommended one, each once.

        By the catalogue's vectors on both sides: the memories' own are rounded, and hold what
        the user said of the item besides.
        """
        strengths: dict[ItemId, list[float]] = {}
        for entry, strength in zip(memories.entries, memories.strength, strict=True):
            item_id = entry.item_id
            if item_id is not None and item_id in pool.vectors and item_id in pool.items:
                strengths.setdefault(item_id, []).append(float(strength))
        targets = [item_id for item_id in item_ids if item_id in pool.vectors]
        if not strengths or not targets:
            return {}
        remembered = sorted(strengths)
        cosines = (
            np.stack([pool.vectors[one] for one in targets])
            @ np.stack([pool.vectors[one] for one in remembered]).T
        )
        # Of several memories of an item the strongest speaks; against it, the weakest.
        most = np.array([max(strengths[one]) for one in remembered])
        least = np.array([min(strengths[one]) for one in remembered])
        nearness = np.where(cosines > 0, cosines * most, cosines * least)
        # Stable over ascending ids, so ties go by id.
        order = np.argsort(-nearness, axis=1, kind="stable")[:, : self._config.because]
        return {
            target: [pool.items[remembered[at]] for at in row]
            for target, row in zip(targets, order.tolist(), strict=True)
        }


def _item_ids(entries: Sequence[HistoryEntry]) -> set[ItemId]:
    return {entry.item_id for entry in entries if entry.item_id is not None}


def _repelled(
    item_ids: Sequence[ItemId],
    vectors: Mapping[ItemId, NDArray[np.float32]],
    *,
    liked: Sequence[ItemId],
    disliked: Sequence[ItemId],
) -> set[ItemId]:
    """Return those that say nearly what something disliked says; of what has vectors."""
    told = [one for one in item_ids if one in vectors]
    against = [vectors[one] for one in disliked if one in vectors]
    if not told or not against:
        return set()
    praised = [vectors[one] for one in liked if one in vectors]
    candidates = np.stack([vectors[one] for one in told])
    is_repelled = repelled(
        candidates,
        liked=np.stack(praised) if praised else candidates[:0],
        disliked=np.stack(against),
    )
    return {one for one, is_out in zip(told, is_repelled.tolist(), strict=True) if is_out}
