"""Lists that are nobody's own: similar items, popular ones, the latest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from heapq import nlargest

from app.domain.errors import NotFoundError
from app.domain.models import Item, ItemId, Scored
from app.domain.privacy.pseudonyms import Identity
from app.domain.privacy.served_list import ServedList, recommendation_id
from app.domain.recommendation.filter import Where
from app.domain.recommendation.filter_parser import parse_where
from app.domain.recommendation.fusion import reciprocal_ranks
from app.domain.recommendation.opinion import OpinionRule
from app.ports.clock import Clock
from app.ports.neighbours import Neighbours
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.services.catalogue.current import CurrentCatalogue
from app.services.catalogue.eligible import Eligible
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.concurrency import ConcurrencyLimiter
from app.services.recommendation.neighbour_sync import NeighbourSync


class Likeness(StrEnum):
    """By what items are similar."""

    BEHAVIOUR = "behaviour"
    CONTENT = "content"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Listed:
    """A list, best first, how many items passed its filter, and what interactions name it by."""

    items: Sequence[Item]
    matched: int
    recommendation_id: str


class ListService:
    """Answers queries that name no user, from counts and the catalogue."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        feed: NeighbourSync,
        catalogue: CurrentCatalogue,
        neighbours: Neighbours,
        limiter: ConcurrencyLimiter,
        identity: Identity,
        clock: Clock,
        opinions: OpinionRule,
    ) -> None:
        self._uows = uows
        self._feed = feed
        self._catalogue = catalogue
        self._neighbours = neighbours
        self._limiter = limiter
        self._identity = identity
        self._clock = clock
        self._opinions = opinions

    def similar(
        self, item_id: ItemId, *, by: Likeness, where: object, exclude: frozenset[ItemId], n: int
    ) -> Listed:
        """Return up to ``n`` items that are like one.

        Raises:
            NotFoundError: there is no such item.
            InvalidInputError: the filter is wrong.
            DependencyUnavailableError: the index does not answer.
        """
        with self._limiter.taken():
            with self._uows.read() as uow:
                catalogue = self._current(uow)
            if item_id not in catalogue.rows:
                raise NotFoundError("no such item")
            among = self._among(where, catalogue)
            hidden = exclude | {item_id}
            fused: dict[ItemId, float] = defaultdict(float)
            for ranking in self._rankings(
                item_id, by, catalogue, among, hidden=hidden, depth=2 * n
            ):
                for one, share in reciprocal_ranks(ranking, weight=1.0).items():
                    fused[one] += share
            best = sorted(fused, key=lambda one: (-fused[one], one))[:n]
            return self._listed(best, catalogue, among, variant=f"similar:{by}")

    def _rankings(
        self,
        item_id: ItemId,
        by: Likeness,
        catalogue: CatalogueSnapshot,
        among: Eligible,
        *,
        hidden: frozenset[ItemId],
        depth: int,
    ) -> list[Sequence[Scored]]:
        found: list[Sequence[Scored]] = []
        if not len(among):
            return found
        if by is not Likeness.CONTENT:
            behaviour = self._neighbours.recommend(
                [item_id], top_n=depth, exclude=hidden, among=among
            )
            found.append([one for one in behaviour if one.score > 0])
        if by is not Likeness.BEHAVIOUR:
            vector = catalogue.vectors.of([item_id]).get(item_id)
            if vector is not None:
                found.append(
                    catalogue.nearest(
                        vector, top_n=depth, exclude=hidden, among=among, depth=2 * depth
                    )
                )
        return found

    def popular(
        self, *, period: timedelta | None, where: object, exclude: frozenset[ItemId], n: int
    ) -> Listed:
        """Return up to ``n`` items that most people have taken to, in a period if one is given.

        Raises:
            InvalidInputError: the filter is wrong.
        """
        with self._limiter.taken(), self._uows.read() as uow:
            catalogue = self._current(uow)
            among = self._among(where, catalogue).without(exclude)
            if period is None:
                found = [one.item_id for one in self._neighbours.popular(top_n=n, among=among)]
            else:
                since = self._clock.now() - period
                counts = uow.interactions.popularity(since=since, rule=self._opinions)
                ranked = sorted((-count, one) for one, count in counts.items() if one in among)
                found = [item_id for _, item_id in ranked[:n]]
            return self._listed(found, catalogue, among, variant="popular")

    def latest(self, *, where: object, exclude: frozenset[ItemId], n: int) -> Listed:
        """Return up to ``n`` items that were added or changed last.

        Raises:
            InvalidInputError: the filter is wrong.
        """
        with self._limiter.taken():
            catalogue = self._catalogue.now()
            among = self._among(where, catalogue).without(exclude)
            entries = catalogue.entries
            found = nlargest(n, among, key=lambda one: (entries[one].updated_at, one))
            return self._listed(found, catalogue, among, variant="latest")

    def _current(self, uow: UnitOfWork) -> CatalogueSnapshot:
        self._feed.catch_up(uow)
        return self._catalogue.at(uow)

    def _among(self, where: object, catalogue: CatalogueSnapshot) -> Eligible:
        read = Where()
        if where is not None:
            read = parse_where(where, now=self._clock.now(), attributes=catalogue.names)
        return catalogue.eligible().within(read)

    def _listed(
        self,
        found: Sequence[ItemId],
        catalogue: CatalogueSnapshot,
        among: Eligible,
        *,
        variant: str,
    ) -> Listed:
        items = list(catalogue.items(found).values())
        served = ServedList(None, 0, None, variant, len(items), self._clock.now())
        return Listed(items, len(among), recommendation_id(served, self._identity))
