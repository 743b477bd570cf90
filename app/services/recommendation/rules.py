"""What a list may hold, and what it should rather hold: a query read under one catalogue."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.errors import FieldError, InvalidInputError
from app.domain.models import ItemId, Kind
from app.domain.recommendation.column import Mask
from app.domain.recommendation.columns import emptied_by
from app.domain.recommendation.filter import Where
from app.domain.recommendation.filter_parser import parse_where
from app.services.catalogue.eligible import Eligible
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.recommendation.query import Boost, RecommendQuery, Scenario


@dataclass(frozen=True, slots=True)
class Rules:
    """A query's rules under a catalogue.

    Args:
        where: the query's filter and its scenario's.
        matching: items that are available and pass it.
        excluded: items that are not wanted, or were on an earlier page.
        seen: items that the user has seen, in a way that hides them.
        boosts: which items count how many times as much.
        shown: items that were shown lately.
        diversity: 0 to 1.
        fill: whether the list is completed.
    """

    catalogue: CatalogueSnapshot
    where: Where
    matching: Eligible
    excluded: frozenset[ItemId]
    seen: frozenset[ItemId]
    boosts: Sequence[tuple[Mask, float]]
    shown: Collection[ItemId]
    diversity: float
    fill: bool

    @classmethod
    def plain(cls, catalogue: CatalogueSnapshot, *, exclude: Collection[ItemId] = ()) -> Rules:
        """Return the rules of a query for any items but some."""
        every, excluded = catalogue.eligible(), frozenset(exclude)
        return cls(catalogue, Where(), every, excluded, frozenset(), (), (), 0.0, True)

    @property
    def hidden(self) -> frozenset[ItemId]:
        """Items that take no place in any ranking."""
        return self.excluded | self.seen

    def emptied_by(self) -> str | None:
        """Return what removed the last item; None if some are left."""
        every = self.catalogue.eligible()
        if not len(every):
            return "available"
        clause = emptied_by(self.catalogue.narrowing(self.where, among=every.mask))
        if clause is not None:
            return clause.path
        left = self.matching.without(self.excluded)
        if not len(left):
            return "exclude"
        return None if len(left.without(self.seen)) else "seen"


def rules_of(
    query: RecommendQuery,
    *,
    scenarios: Mapping[str, Scenario],
    catalogue: CatalogueSnapshot,
    touched: Mapping[Kind, Collection[ItemId]],
    served: Collection[ItemId],
    now: datetime,
) -> Rules:
    """Read a query.

    Args:
        query: what is asked for.
        scenarios: the presets there are.
        catalogue: what it is asked of.
        touched: what the user, or the visitor in this session, has had to do with, by kind.
        served: what was on earlier pages.
        now: what ``"-30d"`` in a filter counts from.

    Raises:
        InvalidInputError: no such scenario; an attribute that no item has; an operator that there
            is not.
    """
    scenario = Scenario() if query.scenario is None else scenarios.get(query.scenario)
    if scenario is None:
        raise InvalidInputError(FieldError("scenario", "there is none of this name"))
    where = _where(scenario.where, catalogue, now=now, path="scenario.where")
    where &= _where(query.where, catalogue, now=now, path="where")
    seen = scenario.seen if query.seen is None else query.seen
    return Rules(
        catalogue=catalogue,
        where=where,
        matching=catalogue.eligible().within(where),
        excluded=frozenset(query.exclude) | frozenset(served),
        seen=frozenset(one for kind in seen for one in touched.get(kind, ())),
        boosts=[
            *_boosts(scenario.boost, catalogue, now=now, path="scenario.boost"),
            *_boosts(query.boost, catalogue, now=now, path="boost"),
        ],
        shown=query.shown,
        diversity=scenario.diversity if query.diversity is None else query.diversity,
        fill=scenario.fill if query.fill is None else query.fill,
    )


def _where(document: object, catalogue: CatalogueSnapshot, *, now: datetime, path: str) -> Where:
    if document is None:
        return Where()
    # A preset is kept longer than a catalogue stays as it is: a name that no item has matches none.
    names = None if path.startswith("scenario") else catalogue.names
    return parse_where(document, now=now, attributes=names, path=path)


def _boosts(
    boosts: Sequence[Boost], catalogue: CatalogueSnapshot, *, now: datetime, path: str
) -> list[tuple[Mask, float]]:
    read = [
        (_where(one.where, catalogue, now=now, path=f"{path}.{place}.where"), one.by)
        for place, one in enumerate(boosts)
    ]
    return [(catalogue.mask(where), by) for where, by in read]
