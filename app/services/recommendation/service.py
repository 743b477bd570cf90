"""Recommending, never with what was forgotten meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import structlog

from app.domain.errors import DependencyUnavailableError, KeyUnavailableError
from app.domain.models import Item, ItemId, Pseudonym, Subject
from app.domain.recommendation.fusion import by_position
from app.domain.recommendation.memory_selection import Strategy
from app.domain.recommendation.topic import Topic
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.catalogue.current import CurrentCatalogue
from app.services.catalogue.topic_matching import TopicMatcher
from app.services.concurrency import ConcurrencyLimiter, InFlightAnswers
from app.services.recommendation.candidates import Candidates
from app.services.recommendation.explanations import ExplanationService
from app.services.recommendation.memory_selection import UserSnapshot
from app.services.recommendation.neighbour_sync import NeighbourSync
from app.services.recommendation.pipeline import RankedList, RecommendationPipeline, RecommendedItem
from app.services.recommendation.reranking import RankedBy

_log = structlog.get_logger(__name__)
_TOPIC_OVERFETCH: Final = 3
_ATTEMPTS: Final = 3
"""Recomputations after a forget commits under way; then the non-personalised list is given."""


@dataclass(frozen=True, slots=True)
class RecommendQuery:
    """What is asked for.

    Args:
        n: how many items, >= 1.
        exclude: items the caller does not want.
        personalise: False for the list of a stranger (GDPR Art. 21).
        explain: have the LLM say why, in a call of its own.
    """

    pseudonym: Pseudonym
    n: int = 10
    strategy: Strategy = Strategy.ATTENTION
    exclude: frozenset[ItemId] = frozenset()
    personalise: bool = True
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An answer.

    Args:
        is_degraded: a part (the LLM, the vector store) did not answer; a simpler list is given.
        epoch: the user's when the answer was made; 0 for a stranger.
        prompt_id: the wording the LLM ranked under; None where it did not.
        timings_ms: wall milliseconds by stage.
    """

    items: Sequence[RecommendedItem]
    ranked_by: RankedBy
    is_personalised: bool
    is_degraded: bool
    epoch: int
    prompt_id: str | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Traffic:
    """The answers of this process that are under way.

    Args:
        turns: those that are being computed.
        departures: those that are being sent.
    """

    limiter: ConcurrencyLimiter
    in_flight: InFlightAnswers


class RecommendService:
    """Answers ``GET /recommend/{user}``."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        feed: NeighbourSync,
        pipeline: RecommendationPipeline,
        explanations: ExplanationService,
        candidates: Candidates,
        catalogue: CurrentCatalogue,
        topics: TopicMatcher,
        traffic: Traffic,
        clock: Clock,
    ) -> None:
        self._traffic = traffic
        self._uows = uows
        self._feed = feed
        self._pipeline = pipeline
        self._explanations = explanations
        self._candidates = candidates
        self._catalogue = catalogue
        self._topics = topics
        self._clock = clock

    def recommend(
        self, query: RecommendQuery, *, departing: ExitStack | None = None
    ) -> Recommendation:
        """Return up to ``query.n`` items, none seen before, none twice.

        The epoch is read before the work and again after it: an answer that a forget
        overtook is thrown away and made anew without the data.

        Args:
            query: what is asked for.
            departing: closed by the caller once the answer is sent; until then a forget of the
                user is not answered. None: the answer counts as sent when this returns.

        Raises:
            DependencyUnavailableError: the relational database does not answer.
            KeyUnavailableError: nor does the key vault, and the user has topics that they do not
                want, which only their key reads.
        """
        started_s = self._clock.monotonic_s()
        with ExitStack() as leaving, self._traffic.limiter.taken():
            answer = self._answer(query, leaving)
            if departing is not None:
                departing.enter_context(leaving.pop_all())
        answer.timings_ms["total"] = round(1_000 * (self._clock.monotonic_s() - started_s), 3)
        return answer

    def _answer(self, query: RecommendQuery, leaving: ExitStack) -> Recommendation:
        topics: Sequence[Topic] = ()
        is_degraded = False
        for _ in range(_ATTEMPTS):
            try:
                known = self._known(query)
            except KeyUnavailableError as error:
                # What the user wrote cannot be read now; what they do not want must be.
                _log.warning("recommendation_degraded", code=error.code)
                topics, is_degraded = self._topics_of(query.pseudonym), True
                break
            topics = known.topics if known else ()
            if known is None or not known.history:
                break
            try:
                made = self._personalise(query, known)
            except DependencyUnavailableError as error:
                # Without the vector store there is no memory to recommend from.
                _log.warning("recommendation_degraded", code=error.code)
                is_degraded = True
                break
            leaving.enter_context(self._traffic.in_flight.leaving(query.pseudonym))
            if self._is_current(known.subject):
                return _personalised(made, known)
            leaving.close()
        return self._stranger(query, topics=topics, is_degraded=is_degraded)

    def _personalise(self, query: RecommendQuery, known: UserSnapshot) -> RankedList:
        made = self._pipeline.personalise(
            known, n=query.n, strategy=query.strategy, exclude=query.exclude
        )
        if not query.explain:
            return made
        started_s = self._clock.monotonic_s()
        made = self._explanations.explained(known.subject, made)
        made.timings_ms["reasons"] = round(1_000 * (self._clock.monotonic_s() - started_s), 3)
        return made

    def _known(self, query: RecommendQuery) -> UserSnapshot | None:
        """Read what may be used of the user; None where there is nothing or it may not be."""
        with self._uows.read() as uow:
            self._feed.catch_up(uow)
            subject = uow.subjects.get(query.pseudonym)
            if subject is None or not subject.is_personalised or not query.personalise:
                return None
            history = uow.interactions.history(query.pseudonym)
            topics = uow.suppressions.of([query.pseudonym]).get(query.pseudonym, [])
            return UserSnapshot(subject, self._catalogue.at(uow), history, topics)

    def _topics_of(self, pseudonym: Pseudonym) -> Sequence[Topic]:
        with self._uows.read() as uow:
            return uow.suppressions.of([pseudonym]).get(pseudonym, ())

    def _is_current(self, subject: Subject) -> bool:
        with self._uows.read() as uow:
            return uow.subjects.get(subject.pseudonym) == subject

    def _stranger(
        self, query: RecommendQuery, *, topics: Sequence[Topic], is_degraded: bool
    ) -> Recommendation:
        """Return what anyone gets of whom the service knows nothing, less unwanted topics."""
        items = self._popular(query, top_n=query.n * (_TOPIC_OVERFETCH if topics else 1))
        unwanted = self._topics.items_about_or_mentioning(topics, items)
        chosen = {one.item_id: one for one in items if one.item_id not in unwanted}
        return Recommendation(
            items=[
                RecommendedItem(chosen[one.item_id], round(one.score, 6))
                for one in by_position(list(chosen)[: query.n])
            ],
            ranked_by=RankedBy.POPULARITY,
            is_personalised=False,
            is_degraded=is_degraded,
            epoch=0,
        )

    def _popular(self, query: RecommendQuery, *, top_n: int) -> list[Item]:
        """Return the most popular items, then some that nobody has touched yet, by id."""
        popular = self._candidates.popular(exclude=query.exclude, top_n=top_n)
        catalogue = self._catalogue.now()
        known = catalogue.items(one.item_id for one in popular)
        untouched = (one for one in catalogue.rows if one not in known and one not in query.exclude)
        known |= catalogue.items(islice(untouched, max(top_n - len(known), 0)))
        return list(known.values())


def _personalised(made: RankedList, known: UserSnapshot) -> Recommendation:
    return Recommendation(
        items=made.items,
        ranked_by=made.ranked_by,
        is_personalised=True,
        is_degraded=made.is_degraded,
        epoch=known.subject.epoch,
        prompt_id=made.prompt_id,
        timings_ms=dict(made.timings_ms),
    )
