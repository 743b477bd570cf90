"""What may be used of a user, read or kept."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.models import Subject
from app.domain.recommendation.memory import newest_first
from app.domain.recommendation.opinion import OpinionRule
from app.domain.recommendation.topic import Topic
from app.ports.clock import Clock
from app.ports.persistence.feed import Standing
from app.ports.persistence.unit_of_work import UnitOfWork
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.recommendation.kept_users import KeptUsers
from app.services.recommendation.neighbour_sync import NeighbourSync
from app.services.recommendation.query import RecommendQuery
from app.services.recommendation.user_snapshot import UserSnapshot, session_history


class UserReader:
    """Reads a user's history, unless what answers need of it is kept.

    Args:
        feed: what tells that something of a user has changed.
        kept: what it has not told that of.
        opinions: what of a history speaks for an item.
        clock: when the visitor of a session touched its items.
    """

    def __init__(
        self, *, feed: NeighbourSync, kept: KeptUsers, opinions: OpinionRule, clock: Clock
    ) -> None:
        self._feed = feed
        self._kept = kept
        self._opinions = opinions
        self._clock = clock

    def catch_up(self, uow: UnitOfWork, *, standing: Standing) -> None:
        """Let nothing be kept, or counted, that the snapshot holds a change of."""
        self._feed.catch_up(uow, head=standing.head)

    def of_session(self, query: RecommendQuery, *, topics: Sequence[Topic] = ()) -> UserSnapshot:
        """Return what the query says of somebody who is not known."""
        session = session_history(query.items, now=self._clock.now())
        return UserSnapshot.of(session, opinions=self._opinions, topics=topics)

    def read(
        self,
        query: RecommendQuery,
        uow: UnitOfWork,
        *,
        standing: Standing,
        catalogue: CatalogueSnapshot,
    ) -> UserSnapshot:
        """Return what may be used for the query; ``catch_up`` comes before it.

        Raises:
            KeyUnavailableError: there are words of the user's, and their key cannot be had.
        """
        subject = standing.subject
        if subject is None or not subject.is_personalised:
            return self.of_session(query)
        if query.items:
            return self._of_user(subject, query, uow)
        found = self._kept.find(subject, catalogue)
        if found is None:
            found = self._of_user(subject, query, uow)
            self._feed.keep(found, catalogue, head=standing.head)
            found = self._kept.find(subject, catalogue) or found
        return found

    def _of_user(self, subject: Subject, query: RecommendQuery, uow: UnitOfWork) -> UserSnapshot:
        session = session_history(query.items, now=self._clock.now())
        history = newest_first(uow.interactions.history(subject.pseudonym))
        topics = uow.suppressions.of([subject.pseudonym]).get(subject.pseudonym, [])
        return UserSnapshot.of(
            [*session, *history], opinions=self._opinions, subject=subject, topics=topics
        )
