"""Making a list: rules, memory, candidates, memories to show, order, arrangement, reasons."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import Final

from app.domain.models import ItemId, Pseudonym, Scored
from app.domain.recommendation.fusion import by_position, diversified
from app.domain.recommendation.memory_selection import Strategy
from app.domain.recommendation.prompt import ShownMemory
from app.ports.clock import Clock
from app.ports.embedder import Embedder
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.topic_matching import TopicMatcher
from app.services.recommendation.answer import Recommendation, RecommendedItem, Source, Stopwatch
from app.services.recommendation.because import because
from app.services.recommendation.candidates import (
    Candidate,
    Candidates,
    Wish,
    repelled_by_content,
)
from app.services.recommendation.kept_users import KeptUsers, PoolState
from app.services.recommendation.memory_selection import MemorySelection, SelectableMemories
from app.services.recommendation.query import Pin, RecommendQuery, Scenario
from app.services.recommendation.reranking import (
    OrderedCandidates,
    Provenance,
    RankedBy,
    Ranking,
    Regime,
    RerankingRequest,
)
from app.services.recommendation.rules import Rules, rules_of
from app.services.recommendation.user_snapshot import UserSnapshot

_BECAUSE: Final = 2
"""Most memories named with each recommended item."""
_SITTING_S: Final = 3_600.0
"""Seconds after their last interaction for which somebody is taken to be at it still."""
_OVERFETCH: Final = 2
"""How many times the candidates are gathered for someone who wants some of them not."""


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """What a list is made of.

    Args:
        candidates: how many are ordered at most, by the LLM or as they are.
        scenarios: presets by name.
    """

    candidates: int
    scenarios: Mapping[str, Scenario]


class RecommendationPipeline:
    """Turns a query and what is known of its user into a list; ``kept`` alone is held for later."""

    def __init__(
        self,
        *,
        recall: MemorySelection,
        kept: KeptUsers,
        candidates: Candidates,
        ranking: Ranking,
        topics: TopicMatcher,
        embedder: Embedder,
        clock: Clock,
        config: PipelineConfig,
    ) -> None:
        self._recall = recall
        self._kept = kept
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
            known: of whom it is asked; without anything of it what is popular is given.
            catalogue: what it is asked of.
            served: items of earlier pages.

        Raises:
            DependencyUnavailableError: the vectors of items cannot be read, or a key.
            InvalidInputError: the query does not fit the catalogue, see ``rules_of``.
        """
        watch = Stopwatch(self._clock)
        rules = self._rules(query, known, catalogue, served=served)
        watch.lap("rules")
        memories = self._recall.recall(known, catalogue)
        watch.lap("memory")
        speaking = memories.speaking_for(set(known.disliked))
        wish = self._wish(query, known, speaking)
        pool = self._pool(query, wish, rules, known, speaking)
        watch.lap("candidates")
        shown = self._shown(memories, pool, catalogue, strategy=query.strategy)
        watch.lap("selection")
        ordered = self._ordered(query, known, pool, shown, catalogue)
        watch.lap("ranking")
        best = self._arranged(ordered.items, rules, pins=query.pin, n=query.n)
        watch.lap("arrangement")
        items = self._told(best, speaking, dict(pool), query.pin, catalogue)
        watch.lap("because")
        return Recommendation(
            items=items,
            provenance=_provenance(ordered, wish, is_degraded=memories.is_missing),
            is_personalised=known.is_personal,
            matched=len(rules.matching),
            emptied_by=None if best else rules.emptied_by(),
            unknown_items=_unknown(query, catalogue),
            shown=shown,
            epoch=known.epoch,
            timings_ms=watch.laps_ms,
        )

    def _told(
        self,
        best: Sequence[Scored],
        memories: SelectableMemories,
        sources: Mapping[ItemId, Source],
        pins: Sequence[Pin],
        catalogue: CatalogueSnapshot,
    ) -> list[RecommendedItem]:
        """Return the items with what speaks for each."""
        ids = [one.item_id for one in best]
        reasons = because(ids, memories, catalogue, most=_BECAUSE)
        pinned = {one.item_id for one in pins}
        items = catalogue.items(ids)
        return [
            RecommendedItem(
                item=items[one],
                score=round(score, 6),
                source=Source.PINNED if one in pinned else sources[one],
                because=reasons.get(one, ()),
            )
            for one, score, _ in best
        ]

    def _rules(
        self,
        query: RecommendQuery,
        known: UserSnapshot,
        catalogue: CatalogueSnapshot,
        *,
        served: Collection[ItemId],
    ) -> Rules:
        return rules_of(
            query,
            scenarios=self._config.scenarios,
            catalogue=catalogue,
            touched=known.touched,
            served=served,
            now=self._clock.now(),
        )

    def _wish(
        self, query: RecommendQuery, known: UserSnapshot, speaking: SelectableMemories
    ) -> Wish:
        """Return what is wished; the profile of who likes something only once it is needed."""
        return Wish(
            liked=known.liked,
            disliked=known.disliked,
            profile=None if known.liked else speaking.profile(),
            said=" ".join(one.text or "" for one in speaking.entries if one.item_id is None),
            text=query.text,
            meaning=None if query.text is None else self._embedder.embed([query.text])[0],
            in_sitting=self._clock.now().timestamp() - known.last_s < _SITTING_S,
        )

    def _pool(
        self,
        query: RecommendQuery,
        wish: Wish,
        rules: Rules,
        known: UserSnapshot,
        speaking: SelectableMemories,
    ) -> list[Candidate]:
        """Return the candidates, as they were kept if nothing has changed that they rest on."""
        if known.kept_as is None or not query.has_usual_candidates:
            return self._gather(replace(wish, profile=speaking.profile()), rules, known, n=query.n)
        edition, wanted = self._candidates.edition(), max(self._config.candidates, query.n)
        state = PoolState(edition, rules.catalogue.version, wanted, wish.in_sitting)
        found = self._kept.pool(known, state, rules.catalogue)
        if found is None:
            found = self._gather(replace(wish, profile=speaking.profile()), rules, known, n=query.n)
            self._kept.keep_pool(known, state, found, rules.catalogue)
        return found

    def _gather(self, wish: Wish, rules: Rules, known: UserSnapshot, *, n: int) -> list[Candidate]:
        """Return the candidates, less what the user does not want to hear of."""
        wanted = max(self._config.candidates, n)
        unwanted = known.unwanted
        found = self._candidates.gather(
            wish, rules, top_n=wanted * _OVERFETCH if unwanted or wish.disliked else wanted
        )
        if rules.fill and len(found) < n:
            found += _fillers(found, rules, n=n * _OVERFETCH - len(found))
        items = list(rules.catalogue.items(one.item_id for one in found).values())
        topics = self._topics
        about = topics.items_about if known.is_personal else topics.items_about_or_mentioning
        barred = about(unwanted, items, catalogue=rules.catalogue)
        barred |= repelled_by_content([one.item_id for one in found], wish, rules.catalogue)
        return [one for one in found if one.item_id not in barred][:wanted]

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
        return chosen.as_shown(catalogue.items(memories.item_ids))

    def _ordered(
        self,
        query: RecommendQuery,
        known: UserSnapshot,
        pool: Sequence[Candidate],
        shown: Sequence[ShownMemory],
        catalogue: CatalogueSnapshot,
    ) -> OrderedCandidates:
        return self._ranking.order(
            RerankingRequest(
                pseudonym=_owner(query, known),
                epoch=known.epoch,
                memories=shown,
                candidates=list(catalogue.items(one.item_id for one in pool).values()),
                query=query.text,
            )
        )

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


def _provenance(ordered: OrderedCandidates, wish: Wish, *, is_degraded: bool) -> Provenance:
    """Return how the order came about; without anything to go by it is that of the popular."""
    made = replace(ordered.provenance, is_degraded=is_degraded or ordered.provenance.is_degraded)
    if not wish.is_blank:
        return made
    is_popular = made.ranked_by is RankedBy.RETRIEVAL
    ranked_by = RankedBy.POPULARITY if is_popular else made.ranked_by
    return replace(made, ranked_by=ranked_by, regime=Regime.STRANGER)


def _fillers(found: Sequence[Candidate], rules: Rules, *, n: int) -> list[Candidate]:
    """Return up to ``n`` further items by id, for which nothing speaks but that they are there."""
    left = rules.matching.without({*rules.hidden, *(one.item_id for one in found)})
    return [Candidate(item_id, Source.FILL) for item_id in nsmallest(n, left)]


def _owner(query: RecommendQuery, known: UserSnapshot) -> Pseudonym | None:
    """Return under whose name the LLM's view may be cached; nobody's, with a session in it."""
    is_stored = known.subject is not None and known.is_personal and not query.items
    return known.subject.pseudonym if known.subject is not None and is_stored else None


def _unknown(query: RecommendQuery, catalogue: CatalogueSnapshot) -> list[ItemId]:
    asked = [*query.items, *query.exclude, *query.shown, *(one.item_id for one in query.pin)]
    return sorted({one for one in asked if one not in catalogue.rows})
