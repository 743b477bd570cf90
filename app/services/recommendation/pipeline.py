"""Making a list: rules, memory, candidates, memories to show, order, arrangement, reasons."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.models import HistoryEntry, Item, ItemId, Pseudonym, Scored
from app.domain.recommendation.fusion import by_position, diversified
from app.domain.recommendation.memory_selection import Strategy
from app.domain.recommendation.opinion import OpinionRule, Stance
from app.domain.recommendation.prompt import ShownMemory
from app.domain.recommendation.repulsion import repelled
from app.ports.clock import Clock
from app.ports.embedder import Embedder
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.topic_matching import TopicMatcher
from app.services.recommendation.answer import Recommendation, RecommendedItem, Source
from app.services.recommendation.candidates import Candidate, Candidates, Wish
from app.services.recommendation.memory_selection import (
    MemorySelection,
    SelectableMemories,
    UserSnapshot,
)
from app.services.recommendation.query import Pin, RecommendQuery, Scenario
from app.services.recommendation.reranking import RankedBy, Reranker, RerankingRequest
from app.services.recommendation.rules import Rules, rules_of

_OVERFETCH: Final = 2
"""How many times the candidates are gathered for someone who wants some of them not."""


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """How long the lists are.

    Args:
        window: candidates shown to the LLM, 1 to 52.
        because: most memories named with each recommended item.
        scenarios: presets by name.
        opinions: what of the history speaks for an item.
    """

    window: int = 50
    because: int = 2
    scenarios: Mapping[str, Scenario] = field(default_factory=dict)
    opinions: OpinionRule = field(default_factory=OpinionRule)


class Stopwatch:
    """Milliseconds by stage."""

    def __init__(self, clock: Clock) -> None:
        """Begin."""
        self._clock = clock
        self._last_s = clock.monotonic_s()
        self.laps_ms: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Note what a stage took that ends now."""
        now_s = self._clock.monotonic_s()
        self.laps_ms[name] = round(1_000 * (now_s - self._last_s), 3)
        self._last_s = now_s


class RecommendationPipeline:
    """Turns a query and what is known of its user into a list. Holds nothing between two calls."""

    def __init__(
        self,
        *,
        recall: MemorySelection,
        candidates: Candidates,
        ranking: Reranker,
        topics: TopicMatcher,
        embedder: Embedder,
        clock: Clock,
        config: PipelineConfig,
    ) -> None:
        self._recall = recall
        self._candidates = candidates
        self._ranking = ranking
        self._topics = topics
        self._embedder = embedder
        self._clock = clock
        self._config = config

    def answer(
        self,
        query: RecommendQuery,
        known: UserSnapshot,
        catalogue: CatalogueSnapshot,
        *,
        served: Collection[ItemId] = (),
    ) -> Recommendation:
        """Return up to ``query.n`` items that its rules allow, none twice.

        Args:
            query: what is asked for.
            known: of whom it is asked; without a history what is popular is given.
            catalogue: what it is asked of.
            served: items of earlier pages.

        Raises:
            DependencyUnavailableError: the vectors of memories or items cannot be read.
            InvalidInputError: the query does not fit the catalogue, see ``rules_of``.
        """
        watch = Stopwatch(self._clock)
        rules = rules_of(
            query,
            scenarios=self._config.scenarios,
            catalogue=catalogue,
            history=known.history,
            served=served,
            now=self._clock.now(),
        )
        watch.lap("rules")
        memories = self._recall.recall(known, catalogue)
        watch.lap("memory")
        wish = self._wish(query, known, memories)
        pool = self._gather(wish, rules, known, n=query.n)
        watch.lap("candidates")
        shown = self._shown(memories, pool, catalogue, strategy=query.strategy)
        watch.lap("selection")
        ordered = self._ranking.order(
            RerankingRequest(
                pseudonym=_owner(query, known),
                epoch=known.epoch,
                memories=shown,
                candidates=list(catalogue.items(one.item_id for one in pool).values()),
            )
        )
        watch.lap("ranking")
        best = self._arranged(ordered.items, rules, pins=query.pin, n=query.n)
        watch.lap("arrangement")
        because = self._because(
            [one.item_id for one in best], memories.without(set(wish.disliked)), catalogue
        )
        watch.lap("because")
        sources = dict(pool) | {one.item_id: Source.PINNED for one in query.pin}
        entries = catalogue.entries
        is_popular = ordered.ranked_by is RankedBy.RETRIEVAL and wish.is_blank
        return Recommendation(
            items=[
                RecommendedItem(
                    item=entries[one.item_id].item,
                    score=round(one.score, 6),
                    source=sources[one.item_id],
                    because=because.get(one.item_id, ()),
                )
                for one in best
            ],
            ranked_by=RankedBy.POPULARITY if is_popular else ordered.ranked_by,
            is_personalised=known.is_personal,
            is_degraded=ordered.is_degraded,
            matched=len(rules.matching),
            emptied_by=None if best else rules.emptied_by(),
            unknown_items=_unknown(query, catalogue),
            shown=shown,
            epoch=known.epoch,
            prompt_id=ordered.prompt_id,
            timings_ms=watch.laps_ms,
        )

    def _wish(
        self, query: RecommendQuery, known: UserSnapshot, memories: SelectableMemories
    ) -> Wish:
        opinions = self._config.opinions.opinions(known.history)
        disliked = [one for one, stance in opinions.items() if stance is Stance.AGAINST]
        return Wish(
            liked=[one for one, stance in opinions.items() if stance is Stance.FOR],
            disliked=disliked,
            profile=memories.without(set(disliked)).profile(),
            text=query.text,
            meaning=None if query.text is None else self._embedder.embed([query.text])[0],
        )

    def _gather(self, wish: Wish, rules: Rules, known: UserSnapshot, *, n: int) -> list[Candidate]:
        """Return the candidates, less what the user does not want to hear of."""
        wanted = max(self._config.window, n)
        found = self._candidates.gather(
            wish, rules, top_n=wanted * _OVERFETCH if known.topics or wish.disliked else wanted
        )
        if rules.fill and len(found) < n:
            found += _fillers(found, rules, n=n * _OVERFETCH - len(found))
        items = list(rules.catalogue.items(one.item_id for one in found).values())
        topics = self._topics
        about = topics.items_about if known.is_personal else topics.items_about_or_mentioning
        unwanted = about(known.topics, items, catalogue=rules.catalogue)
        unwanted |= _repelled([one.item_id for one in found], wish, rules.catalogue)
        return [one for one in found if one.item_id not in unwanted][:wanted]

    def _shown(
        self,
        memories: SelectableMemories,
        pool: Sequence[Candidate],
        catalogue: CatalogueSnapshot,
        *,
        strategy: Strategy,
    ) -> list[ShownMemory]:
        """Return the memories for the LLM; none where there is none to show them to."""
        if not self._ranking.has_model or not memories.entries:
            return []
        chosen = self._recall.choose(
            memories,
            strategy=strategy,
            candidates=[one.item_id for one in pool],
            catalogue=catalogue,
        )
        return chosen.as_shown(catalogue.items(_item_ids(memories.entries)))

    def _arranged(
        self, ordered: Sequence[Scored], rules: Rules, *, pins: Sequence[Pin], n: int
    ) -> list[Scored]:
        """Return the list: varied as asked for, pinned items in their places."""
        if not pins and rules.diversity <= 0:
            return list(ordered[:n])
        eligible = rules.matching.without(rules.excluded)
        held = {one.item_id: one for one in pins if one.item_id in eligible}
        ids = [one.item_id for one in ordered if one.item_id not in held]
        vectors = rules.catalogue.vectors.of(ids) if rules.diversity > 0 else {}
        listed = diversified(ids, vectors, n=n, diversity=rules.diversity)
        for pin in sorted(held.values(), key=lambda one: one.position):
            listed.insert(pin.position - 1, pin.item_id)
        return by_position(listed[:n])

    def _because(
        self, item_ids: Sequence[ItemId], memories: SelectableMemories, catalogue: CatalogueSnapshot
    ) -> dict[ItemId, list[Item]]:
        """Return the remembered items closest in meaning to each recommended one, each once.

        By the catalogue's vectors on both sides: the memories' own are rounded, and hold what
        the user said of the item besides.
        """
        if not memories.entries:
            return {}
        vectors = catalogue.vectors.of({*item_ids, *_item_ids(memories.entries)})
        strengths: dict[ItemId, list[float]] = {}
        for entry, strength in zip(memories.entries, memories.strength, strict=True):
            item_id = entry.item_id
            if item_id is not None and item_id in vectors and item_id in catalogue.entries:
                strengths.setdefault(item_id, []).append(float(strength))
        targets = [item_id for item_id in item_ids if item_id in vectors]
        if not strengths or not targets:
            return {}
        remembered = sorted(strengths)
        cosines: NDArray[np.float32] = (
            np.stack([vectors[one] for one in targets])
            @ np.stack([vectors[one] for one in remembered]).T
        )
        # Of several memories of an item the strongest speaks; against it, the weakest.
        most = np.array([max(strengths[one]) for one in remembered])
        least = np.array([min(strengths[one]) for one in remembered])
        nearness = np.where(cosines > 0, cosines * most, cosines * least)
        # Stable over ascending ids, so ties go by id.
        order = np.argsort(-nearness, axis=1, kind="stable")[:, : self._config.because]
        return {
            target: [catalogue.entries[remembered[at]].item for at in row]
            for target, row in zip(targets, order.tolist(), strict=True)
        }


def _fillers(found: Sequence[Candidate], rules: Rules, *, n: int) -> list[Candidate]:
    """Return up to ``n`` further items by id, for which nothing speaks but that they are there."""
    left = rules.matching.without({*rules.hidden, *(one.item_id for one in found)})
    return [Candidate(item_id, Source.FILL) for item_id in nsmallest(n, left)]


def _owner(query: RecommendQuery, known: UserSnapshot) -> Pseudonym | None:
    """Return under whose name the LLM's view may be cached; nobody's, with a session in it."""
    is_stored = known.subject is not None and known.is_personal and not query.items
    return known.subject.pseudonym if known.subject is not None and is_stored else None


def _repelled(item_ids: Sequence[ItemId], wish: Wish, catalogue: CatalogueSnapshot) -> set[ItemId]:
    """Return those that say nearly what something disliked says; of what has vectors."""
    if not wish.disliked:
        return set()
    _, against = catalogue.vectors.matrix(wish.disliked)
    told, candidates = catalogue.vectors.matrix(item_ids)
    _, praised = catalogue.vectors.matrix(wish.liked)
    if not told or not len(against):
        return set()
    liked = praised if len(praised) else candidates[:0]
    is_repelled = repelled(candidates, liked=liked, disliked=against)
    return {one for one, is_out in zip(told, is_repelled.tolist(), strict=True) if is_out}


def _item_ids(entries: Sequence[HistoryEntry]) -> set[ItemId]:
    return {entry.item_id for entry in entries if entry.item_id is not None}


def _unknown(query: RecommendQuery, catalogue: CatalogueSnapshot) -> list[ItemId]:
    asked = [*query.items, *query.exclude, *query.shown, *(one.item_id for one in query.pin)]
    return sorted({one for one in asked if one not in catalogue.rows})
