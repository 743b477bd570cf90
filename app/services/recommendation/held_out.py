"""Lists of which it is known what they should have: what users did last is held out of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from heapq import nsmallest
from typing import Final

from app.domain.models import HistoryEntry, ItemId, Pseudonym, Subject
from app.domain.recommendation.calibration import AT
from app.domain.recommendation.everybody import Everybody
from app.domain.recommendation.finding import Situation
from app.domain.recommendation.fusion import by_position
from app.domain.recommendation.memory import newest_first
from app.domain.recommendation.opinion import OpinionRule
from app.ports.neighbours import Neighbours
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.catalogue.current import CurrentCatalogue
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.recommendation.neighbour_sync import NeighbourSync
from app.services.recommendation.pipeline import RecommendationPipeline
from app.services.recommendation.query import RecommendQuery
from app.services.recommendation.reading_check import ReadingCheck
from app.services.recommendation.reranking import (
    OrderedCandidates,
    Provenance,
    RankedBy,
    Ranking,
    Regime,
    RerankingRequest,
)
from app.services.recommendation.user_snapshot import UserSnapshot

_LEAST_LIKED: Final = 5
"""Items that somebody must like, so that some are left to go by."""
_PART: Final = 5
"""One of so many: of what a user likes, the newest are held out; of the items, some are new."""


@dataclass(frozen=True, slots=True)
class Case:
    """A list to be ordered.

    Args:
        wanted: the items that it should have, some of the candidates or none.
        owner: whose data it is made of; None for nobody's.
    """

    request: RerankingRequest
    wanted: frozenset[ItemId]
    owner: Subject | None


class _Collector:
    """Stands where lists are ordered, and takes what was to be ordered."""

    has_model = True

    def __init__(self) -> None:
        self.requests: list[RerankingRequest] = []

    def order(self, request: RerankingRequest) -> OrderedCandidates:
        self.requests.append(request)
        ids = [one.item_id for one in request.candidates]
        return OrderedCandidates(by_position(ids), Provenance(RankedBy.RETRIEVAL, Regime.HISTORY))


@dataclass(frozen=True, slots=True)
class CalibrationParts:
    """What lists are made of.

    Args:
        behaviour: the counts of this process.
        pipeline: makes lists over some counts, ordered by what is given.
        nobody: counts of nobody, for items that nobody has met.
        reading: the model, and whether it may be asked for labels.
        has_labels: whether it would be asked for them, or for JSON.
        timeout_s: seconds that the model has for a list.
    """

    uows: UnitsOfWork
    catalogue: CurrentCatalogue
    feed: NeighbourSync
    behaviour: Neighbours
    nobody: Neighbours
    opinions: OpinionRule
    pipeline: Callable[[Ranking, Neighbours], RecommendationPipeline]
    reading: ReadingCheck
    has_labels: bool
    timeout_s: float


class HeldOut:
    """Makes lists through the service's own pipeline; a user is let go before the next is read."""

    def __init__(self, parts: CalibrationParts) -> None:
        """Take what lists are made of."""
        self._parts = parts

    def all(
        self, people: int, *, seed: int, queries: Sequence[tuple[str, frozenset[ItemId]]]
    ) -> Iterator[tuple[Situation, Case]]:
        """Yield the lists of some users and of queries, following the change feed meanwhile."""
        parts = self._parts
        parts.feed.start()
        try:
            for text, wanted in queries:
                yield from self._query(text, wanted)
            for pseudonym in self._drawn(people, seed=seed):
                for situation in (Situation.HISTORY, Situation.NEW_ITEMS, Situation.QUERY):
                    yield from self._of_user(pseudonym, situation, seed=seed)
                    parts.feed.acknowledge()  # whoever was forgotten is in none that follow
        finally:
            parts.feed.stop()

    def _drawn(self, people: int, *, seed: int) -> list[Pseudonym]:
        with self._parts.uows.read() as uow:
            everybody = Everybody.of(uow.interactions.all_rows())
        histories = everybody.histories(self._parts.opinions)
        able = (pseudonym for pseudonym, items in histories if len(items) >= _LEAST_LIKED)
        return nsmallest(people, able, key=lambda one: _digest(seed, one))

    def _of_user(
        self, pseudonym: Pseudonym, situation: Situation, *, seed: int
    ) -> Iterator[tuple[Situation, Case]]:
        """Yield the user's lists of a situation, from what there is of them now."""
        parts = self._parts
        with parts.uows.read() as uow:
            subject = uow.subjects.get(pseudonym)
            if subject is None or not subject.is_personalised:
                return
            history = newest_first(uow.interactions.history(pseudonym))
            catalogue = parts.catalogue.at(uow)
        liked = [one for one in parts.opinions.liked(history) if one in catalogue.rows]
        if len(liked) < _LEAST_LIKED:
            return
        query = RecommendQuery(n=AT)
        match situation:
            case Situation.QUERY:
                for one in history:
                    if one.text is not None and one.item_id is not None:
                        yield from self._query(one.text, frozenset({one.item_id}), subject)
            case Situation.NEW_ITEMS:
                new = frozenset(one for one in catalogue.rows if _digest(seed, one)[0] % _PART == 0)
                known = self._known(history, subject, without=new)
                fresh = _with_only(new, catalogue)
                yield from self._case(situation, query, known, fresh, new & frozenset(liked))
            case _:
                held = frozenset(liked[: len(liked) // _PART])
                parts.behaviour.apply({pseudonym: [one for one in liked if one not in held]})
                try:
                    parts.behaviour.refresh()
                    known = self._known(history, subject, without=held)
                    yield from self._case(situation, query, known, catalogue, held)
                finally:
                    parts.behaviour.apply({pseudonym: parts.opinions.liked(history)})

    def _known(
        self, history: Sequence[HistoryEntry], subject: Subject, *, without: Collection[ItemId]
    ) -> UserSnapshot:
        kept = [one for one in history if one.item_id not in without]
        return UserSnapshot.of(kept, opinions=self._parts.opinions, subject=subject)

    def _query(
        self, text: str, wanted: frozenset[ItemId], owner: Subject | None = None
    ) -> Iterator[tuple[Situation, Case]]:
        query = RecommendQuery(text=text, n=AT)
        catalogue = self._parts.catalogue.now()
        for situation, case in self._case(
            Situation.QUERY, query, UserSnapshot(), catalogue, wanted
        ):
            yield situation, replace(case, owner=owner)

    def _case(
        self,
        situation: Situation,
        query: RecommendQuery,
        known: UserSnapshot,
        catalogue: CatalogueSnapshot,
        wanted: frozenset[ItemId],
    ) -> Iterator[tuple[Situation, Case]]:
        parts, collector = self._parts, _Collector()
        counts = parts.nobody if situation is Situation.NEW_ITEMS else parts.behaviour
        parts.pipeline(collector, counts).answer(query, known, catalogue)
        for request in collector.requests:
            has_reason = bool(request.memories) or request.query is not None
            if wanted and has_reason and len(request.candidates) > 1:
                yield situation, Case(request, wanted, known.subject)


def _with_only(item_ids: Collection[ItemId], catalogue: CatalogueSnapshot) -> CatalogueSnapshot:
    """Return the catalogue in which no others may be in a list; they are evidence still."""
    others = [
        replace(entry, available=False)
        for item_id, entry in catalogue.entries.items()
        if item_id not in item_ids
    ]
    return catalogue.after(others, removed=(), version=catalogue.version)


def _digest(seed: int, name: str) -> bytes:
    return sha256(f"{seed}:{name}".encode()).digest()
