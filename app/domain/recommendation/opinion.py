"""What a user thinks of items: whether the evidence speaks for one, against it or not at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final, NamedTuple, Protocol

from app.domain.models import ItemId, Kind

DEVIATIONS: Final = 1.0
"""Standard deviations below the user's own mean from which a rating is no evidence; measured in
``benchmarks/results/quality_opinions.json``."""
_LOW_PART: Final = 0.25
"""Share of the scale, from below, in which no rating speaks for an item: 1 and 2 of 1 to 5."""


class Told(Protocol):
    """What an interaction says of an item; ``HistoryEntry`` is one."""

    @property
    def item_id(self) -> ItemId | None:
        """Return the item."""
        ...

    @property
    def kind(self) -> Kind:
        """Return what the user did."""
        ...

    @property
    def value(self) -> float | None:
        """Return the rating."""
        ...

    @property
    def occurred_at(self) -> datetime:
        """Return when."""
        ...


class Evidence(NamedTuple):
    """An interaction with an item, as far as an opinion needs it."""

    item_id: ItemId
    kind: Kind
    value: float | None
    occurred_at: datetime


class Stance(IntEnum):
    """Where a user stands towards an item."""

    AGAINST = -1
    NEITHER = 0
    FOR = 1


_AGAINST, _NEITHER, _FOR, _RATING = Stance.AGAINST, Stance.NEITHER, Stance.FOR, Kind.RATING
"""Looked up once: at a start they are needed for every row."""


@dataclass(frozen=True, slots=True)
class OpinionRule:
    """How interactions are read.

    A kind of ``negative`` speaks against, one of ``positive`` for, any other is not heard. A
    rating with a value is judged by it. With ``thresholds`` (low, high) it speaks against up to
    low and for from high on. Without them, v of a user with mean m and standard deviation s:

    - in the lowest quarter of ``scale``: against; not at all where it is above m;
    - elsewhere: for if v > m - s or s = 0, else not at all.

    A user with a rating outside the scale is on another one, and only the second line holds.

    Args:
        positive: kinds that speak for an item.
        negative: kinds that speak against one.
        scale: the lowest and the highest rating that callers report.
        thresholds: the bounds of what speaks against and for; None for the user's own mean.
    """

    positive: frozenset[Kind] = frozenset({Kind.RATING, Kind.VIEW, Kind.PURCHASE, Kind.LIKE})
    negative: frozenset[Kind] = frozenset({Kind.DISLIKE})
    scale: tuple[float, float] = (1.0, 5.0)
    thresholds: tuple[float, float] | None = None

    @property
    def least_rating(self) -> float:
        """The lowest rating that is not against an item whoever gave it."""
        if self.thresholds is not None:
            return self.thresholds[1]
        return math.nextafter(self.low, math.inf)

    @property
    def low(self) -> float:
        """The rating up to which one on the scale never speaks for an item."""
        lowest, highest = self.scale
        return lowest + _LOW_PART * (highest - lowest)

    def opinions(self, told: Iterable[Told]) -> dict[ItemId, Stance]:
        """Return where a user stands towards each item, the item touched last first.

        A pure function of the set of interactions: their order does not matter. The latest
        opinion of an item counts; of several at one moment the lowest. A view is no opinion
        once there is one: to look at a thing again does not take a dislike back. Items touched
        at the same moment come by id.

        Args:
            told: all interactions of one user; those without an item, or of a kind that is not
                heard, are ignored.
        """
        heard = self.positive | self.negative
        deciding: dict[ItemId, Told] = {}
        touched: dict[ItemId, datetime] = {}
        for one in told:
            item_id = one.item_id
            if item_id is None or one.kind not in heard:
                continue
            before = deciding.get(item_id)
            if before is None:
                deciding[item_id], touched[item_id] = one, one.occurred_at
                continue
            touched[item_id] = max(touched[item_id], one.occurred_at)
            if self._rank(one) > self._rank(before):
                deciding[item_id] = one
        judge = _Judge(self, _ratings(deciding.values()))
        order = sorted(deciding)
        order.sort(key=touched.__getitem__, reverse=True)  # stable: ties stay by id
        return {item_id: judge.stance(deciding[item_id]) for item_id in order}

    def liked(self, told: Iterable[Told]) -> list[ItemId]:
        """Return the items that a user's interactions speak for, the item touched last first."""
        return [one for one, stance in self.opinions(told).items() if stance is _FOR]

    def _rank(self, one: Told) -> tuple[bool, datetime, bool, float]:
        """Return what decides between two interactions with one item; the larger counts."""
        value = _rating(one)
        lowness = -math.inf if value is None else -value
        return (one.kind is not Kind.VIEW, one.occurred_at, one.kind in self.negative, lowness)


class _Judge:
    """Judges a user's deciding interactions, given all values of their ratings."""

    __slots__ = ("_least", "_low", "_mean", "_negative", "_thresholds")

    def __init__(self, rule: OpinionRule, ratings: Sequence[float]) -> None:
        self._negative, self._thresholds = rule.negative, rule.thresholds
        self._mean, self._least = least_of(ratings)
        lowest, highest = rule.scale
        is_on_scale = not ratings or (lowest <= min(ratings) and max(ratings) <= highest)
        self._low = rule.low if is_on_scale else -math.inf

    def stance(self, one: Told) -> Stance:
        """Return which way an interaction speaks."""
        kind = one.kind
        if kind in self._negative:
            return _AGAINST
        value = one.value if kind is _RATING else None
        if value is None:
            return _FOR
        if self._thresholds is not None:
            low, high = self._thresholds
            return _FOR if value >= high else Stance(-(value <= low))
        if value <= self._low:
            return _NEITHER if value > self._mean else _AGAINST
        return _FOR if value > self._least else _NEITHER


def least_of(ratings: Sequence[float]) -> tuple[float, float]:
    """Return the mean of a user's ratings, and the bound above which one speaks for its item."""
    if not ratings:
        return 0.0, -math.inf
    count = len(ratings)
    # fsum rounds once, so the order of the ratings cannot show.
    mean = math.fsum(ratings) / count
    deviation = math.sqrt(math.fsum([(one - mean) * (one - mean) for one in ratings]) / count)
    return mean, mean - DEVIATIONS * deviation if deviation else -math.inf


def _rating(one: Told) -> float | None:
    return one.value if one.kind is _RATING else None


def _ratings(told: Iterable[Told]) -> list[float]:
    return [value for one in told if one.kind is _RATING and (value := one.value) is not None]
