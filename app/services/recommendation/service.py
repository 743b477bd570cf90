"""Recommending, never with what was forgotten meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

import structlog

from app.domain.errors import DependencyUnavailableError, KeyUnavailableError
from app.domain.models import ItemId
from app.domain.recommendation.topic import Topic
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.services.catalogue.current import CurrentCatalogue
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.concurrency import ConcurrencyLimiter, InFlightAnswers
from app.services.recommendation.answer import Recommendation
from app.services.recommendation.cursor import Cursors, Page
from app.services.recommendation.explanations import ExplanationService
from app.services.recommendation.pipeline import RecommendationPipeline
from app.services.recommendation.query import RecommendQuery
from app.services.recommendation.user_reader import UserReader
from app.services.recommendation.user_snapshot import UserSnapshot

_log = structlog.get_logger(__name__)
_ATTEMPTS: Final = 3
"""Recomputations after a forget commits under way; then the non-personalised list is given."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The answers of this process that are under way.

    Args:
        limiter: of those that are being computed.
        in_flight: those that are being sent.
    """

    limiter: ConcurrencyLimiter
    in_flight: InFlightAnswers


class RecommendService:
    """Answers every query for a list of somebody's own."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        users: UserReader,
        catalogue: CurrentCatalogue,
        pipeline: RecommendationPipeline,
        explanations: ExplanationService,
        cursors: Cursors,
        traffic: Traffic,
        clock: Clock,
    ) -> None:
        self._uows = uows
        self._users = users
        self._catalogue = catalogue
        self._pipeline = pipeline
        self._explanations = explanations
        self._cursors = cursors
        self._traffic = traffic
        self._clock = clock

    def recommend(
        self, query: RecommendQuery, *, departing: ExitStack | None = None
    ) -> Recommendation:
        """Return up to ``query.n`` items, none twice.

        The epoch is read before the work and again after it: an answer that a forget
        overtook is thrown away and made anew without the data.

        Args:
            query: what is asked for.
            departing: closed by the caller once the answer is sent; until then a forget of the
                user is not answered. None: the answer counts as sent when this returns.

        Raises:
            InvalidInputError: a filter, a scenario or the cursor is wrong.
            ConflictError: the cursor has ended; the first page has to be asked for again.
            DependencyUnavailableError: the relational database does not answer.
            KeyUnavailableError: nor does the key vault, and the user has topics that they do not
                want, which only their key reads.
        """
        started_s = self._clock.monotonic_s()
        page = self._cursors.read(query)
        with ExitStack() as leaving, self._traffic.limiter.taken():
            answer = self._answer(query, page, leaving)
            if departing is not None:
                departing.enter_context(leaving.pop_all())
            cursor = self._cursors.next(
                query, page, [one.item.item_id for one in answer.items], epoch=answer.epoch
            )
            answer.timings_ms["total"] = round(1_000 * (self._clock.monotonic_s() - started_s), 3)
            named = self._cursors.name(query, answer)
            return replace(answer, cursor=cursor, recommendation_id=named)

    def _answer(self, query: RecommendQuery, page: Page, leaving: ExitStack) -> Recommendation:
        known, is_degraded = UserSnapshot(), False
        for _ in range(_ATTEMPTS):
            try:
                known, catalogue = self._read(query, page)
            except KeyUnavailableError as error:
                # What the user wrote cannot be read now; what they do not want must be.
                _log.warning("recommendation_degraded", code=error.code)
                known, is_degraded = self._topics_alone(query), True
                break
            if not known.is_personal or known.subject is None:
                break
            try:
                made = self._made(query, known, catalogue, page)
            except DependencyUnavailableError as error:
                # Without the vector store there is no memory to recommend from.
                _log.warning("recommendation_degraded", code=error.code)
                is_degraded = True
                break
            leaving.enter_context(self._traffic.in_flight.leaving(known.subject.pseudonym))
            with self._uows.read() as uow:
                now = uow.changes.standing(known.subject.pseudonym)
                if now.subject == known.subject:
                    if now.catalogue <= catalogue.version:
                        return made
                    return self._without_removed(made, uow)
            leaving.close()
        return self._of_a_stranger(query, known.topics, page, is_degraded=is_degraded)

    def _read(self, query: RecommendQuery, page: Page) -> tuple[UserSnapshot, CatalogueSnapshot]:
        """Read the catalogue and what may be used of the user: one statement, if that is kept."""
        with self._uows.read() as uow:
            standing = uow.changes.standing(query.pseudonym if query.personalise else None)
            self._users.catch_up(uow, standing=standing)
            catalogue = self._catalogue.at(uow, version=standing.catalogue)
            known = self._users.read(query, uow, standing=standing, catalogue=catalogue)
        page.require(known.epoch)
        return known, catalogue

    def _made(
        self,
        query: RecommendQuery,
        known: UserSnapshot,
        catalogue: CatalogueSnapshot,
        page: Page,
    ) -> Recommendation:
        made = self._pipeline.answer(query, known, catalogue, served=page.served)
        if not query.explain or known.subject is None:
            return made
        started_s = self._clock.monotonic_s()
        made = self._explanations.explained(known, made)
        made.timings_ms["reasons"] = round(1_000 * (self._clock.monotonic_s() - started_s), 3)
        return made

    def _topics_alone(self, query: RecommendQuery) -> UserSnapshot:
        if query.pseudonym is None:
            return UserSnapshot()
        with self._uows.read() as uow:
            topics = uow.suppressions.of([query.pseudonym]).get(query.pseudonym, ())
        return UserSnapshot(topics=topics)

    def _of_a_stranger(
        self, query: RecommendQuery, topics: Sequence[Topic], page: Page, *, is_degraded: bool
    ) -> Recommendation:
        """Return what anyone gets who asks the same in the same session, less unwanted topics."""
        known, catalogue = self._users.of_session(query, topics=topics), self._catalogue.now()
        if not is_degraded:
            try:
                made = self._pipeline.answer(query, known, catalogue, served=page.served)
                return self._without_removed(made)
            except DependencyUnavailableError as error:
                _log.warning("recommendation_degraded", code=error.code)
        plain = replace(query, text=None, diversity=0.0)
        seen = frozenset(query.items) if query.seen is None else frozenset[ItemId]()
        known = UserSnapshot(topics=topics)
        made = self._pipeline.answer(plain, known, catalogue, served={*page.served, *seen})
        return self._without_removed(
            replace(made, provenance=replace(made.provenance, is_degraded=True))
        )

    def _without_removed(
        self, made: Recommendation, uow: UnitOfWork | None = None
    ) -> Recommendation:
        """Return the answer less items that were removed or hidden while it was made."""
        now = self._catalogue.now() if uow is None else self._catalogue.at(uow)
        eligible = now.eligible()
        kept = [one for one in made.items if one.item.item_id in eligible]
        return made if len(kept) == len(made.items) else replace(made, items=kept)
