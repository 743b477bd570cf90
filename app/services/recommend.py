"""Recommending, never with what was forgotten meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from app.domain.errors import DependencyUnavailableError
from app.domain.fusion import by_position
from app.domain.models import ItemId, Pseudonym, Subject
from app.domain.selection import Strategy
from app.ports.clock import Clock
from app.ports.unit_of_work import UnitOfWork, UnitsOfWork
from app.services.candidates import Candidates
from app.services.feed import FeedService
from app.services.personalise import Known, Personalised, Personaliser, Recommended
from app.services.ranking import RankedBy

_ATTEMPTS: Final = 3
"""Recomputations after a forget commits under way; then the non-personalised list is given."""


@dataclass(frozen=True, slots=True)
class RecommendQuery:
    """What is asked for.

    Args:
        n: how many items, >= 1.
        exclude: items the caller does not want.
        personalise: False for the list of a stranger (GDPR Art. 21).
    """

    pseudonym: Pseudonym
    n: int = 10
    strategy: Strategy = Strategy.ATTENTION
    exclude: frozenset[ItemId] = frozenset()
    personalise: bool = True


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An answer.

    Args:
        is_degraded: a part (the LLM, the vector store) did not answer; a simpler list is given.
        epoch: the user's when the answer was made; 0 for a stranger.
        timings_ms: wall milliseconds by stage.
    """

    items: Sequence[Recommended]
    ranked_by: RankedBy
    is_personalised: bool
    is_degraded: bool
    epoch: int
    timings_ms: dict[str, float] = field(default_factory=dict)


class RecommendService:
    """Answers ``GET /recommend/{user}``."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        feed: FeedService,
        personaliser: Personaliser,
        candidates: Candidates,
        clock: Clock,
    ) -> None:
        """Keep the collaborators."""
        self._uows = uows
        self._feed = feed
        self._personaliser = personaliser
        self._candidates = candidates
        self._clock = clock

    def recommend(self, query: RecommendQuery) -> Recommendation:
        """Return up to ``query.n`` items, none seen before, none twice.

        The epoch is read before the work and again after it: an answer that a forget
        overtook is thrown away and made anew without the data.

        Raises:
            DependencyUnavailableError: the relational database does not answer.
        """
        started_s = self._clock.monotonic_s()
        answer = self._answer(query)
        answer.timings_ms["total"] = round(1_000 * (self._clock.monotonic_s() - started_s), 3)
        return answer

    def _answer(self, query: RecommendQuery) -> Recommendation:
        is_degraded = False
        for _ in range(_ATTEMPTS):
            known = self._known(query)
            if known is None:
                break
            try:
                made = self._personalise(query, known)
            except DependencyUnavailableError:
                # Without the vector store there is no memory to recommend from.
                is_degraded = True
                break
            if self._is_current(known.subject):
                return _personalised(made, known)
        return self._stranger(query, is_degraded=is_degraded)

    def _personalise(self, query: RecommendQuery, known: Known) -> Personalised:
        return self._personaliser.personalise(
            known, n=query.n, strategy=query.strategy, exclude=query.exclude
        )

    def _known(self, query: RecommendQuery) -> Known | None:
        """Read what may be used of the user; None where there is nothing or it may not be."""
        with self._uows.read() as uow:
            self._feed.catch_up(uow)
            subject = uow.subjects.get(query.pseudonym)
            if subject is None or not subject.is_personalised or not query.personalise:
                return None
            history = uow.interactions.history(query.pseudonym)
            return Known(subject, history) if history else None

    def _is_current(self, subject: Subject) -> bool:
        with self._uows.read() as uow:
            return uow.subjects.get(subject.pseudonym) == subject

    def _stranger(self, query: RecommendQuery, *, is_degraded: bool) -> Recommendation:
        """Return what anyone gets of whom the service knows nothing."""
        popular = self._candidates.popular(exclude=query.exclude, top_n=query.n)
        with self._uows.read() as uow:
            item_ids = [one.item_id for one in popular]
            item_ids += self._filler(uow, query, known=set(item_ids))
            items = uow.items.get_many(item_ids)
        known_ids = [item_id for item_id in item_ids if item_id in items]
        return Recommendation(
            items=[
                Recommended(items[one.item_id], round(one.score, 6))
                for one in by_position(known_ids)
            ],
            ranked_by=RankedBy.POPULARITY,
            is_personalised=False,
            is_degraded=is_degraded,
            epoch=0,
        )

    def _filler(
        self, uow: UnitOfWork, query: RecommendQuery, *, known: set[ItemId]
    ) -> list[ItemId]:
        """Return catalogue items that nobody has touched yet, by id, to make up the number."""
        filler: list[ItemId] = []
        if len(known) >= query.n:
            return filler
        for item in uow.items.all_items():
            if item.item_id not in known and item.item_id not in query.exclude:
                filler.append(item.item_id)
            if len(known) + len(filler) == query.n:
                break
        return filler


def _personalised(made: Personalised, known: Known) -> Recommendation:
    return Recommendation(
        items=made.items,
        ranked_by=made.ranked_by,
        is_personalised=True,
        is_degraded=made.is_degraded,
        epoch=known.subject.epoch,
        timings_ms=dict(made.timings_ms),
    )
