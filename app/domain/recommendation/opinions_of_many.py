"""What many users' evidence speaks for: ``OpinionRule.liked`` of each, computed in columns."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from app.domain.models import Kind
from app.domain.recommendation.opinion import DEVIATIONS, OpinionRule, least_of

KINDS: Final = tuple(Kind)
"""What the numbers of kinds stand for."""
_VIEW: Final = KINDS.index(Kind.VIEW)
_RATING: Final = KINDS.index(Kind.RATING)
_NEAR: Final = 1e-9
"""What sums in another order may move a mean by, and much more, as a share of the ratings."""

_MOST_BITS: Final = 63

Ints = NDArray[np.int64]


class Columns(NamedTuple):
    """Rows of evidence, column by column, each of shape (n,).

    Args:
        users: numbers.
        items: numbers, ascending with the ids.
        kinds: places in ``KINDS``.
        values: ratings; not a number where there is none.
        moments: microseconds since 1970.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    kinds: NDArray[np.uint8]
    values: NDArray[np.float64]
    moments: Ints

    @classmethod
    def empty(cls, n_rows: int) -> Self:
        """Return room for some rows."""
        return cls(*(np.empty(n_rows, dtype=kind) for kind in ("i4", "i4", "u1", "f8", "i8")))

    def put(self, begin: int, rows: Columns) -> None:
        """Write rows, from a place on."""
        columns: tuple[NDArray[Any], ...] = self
        for column, told in zip(columns, rows, strict=True):
            column[begin : begin + len(rows.users)] = told

    def of(self, rows: NDArray[np.integer[Any] | np.bool_] | slice) -> Self:
        """Return some of the rows."""
        columns: tuple[NDArray[Any], ...] = self
        return type(self)(*(column[rows] for column in columns))


def liked(rule: OpinionRule, told: Columns) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return users and items: what each user's rows speak for, the item touched last at the end.

    Args:
        rule: how they are read.
        told: all rows of each of the users, in the order of users.

    Returns:
        In the order of users.
    """
    heard = np.array([kind in rule.positive | rule.negative for kind in KINDS])
    is_against = np.array([kind in rule.negative for kind in KINDS])
    told = _deciding(told.of(heard[told.kinds]), is_against)
    speaks = ~is_against[told.kinds]
    rated = np.flatnonzero((told.kinds == _RATING) & ~np.isnan(told.values))
    if len(rated):
        speaks[rated] &= _is_for(rule, told.users[rated], told.values[rated])
    return _in_order(told.of(speaks))


def _deciding(told: Columns, is_against: NDArray[np.bool_]) -> Columns:
    """Return of each user and item the row that decides, with the last moment of any of theirs."""
    pairs = told.users.astype(np.int64) << 32 | told.items
    if not _repeats(np.sort(pairs)).any():
        return told
    lowness = np.where(told.kinds == _RATING, -told.values, -np.inf)
    lowness[np.isnan(lowness)] = -np.inf
    # As OpinionRule ranks two interactions; the last of a pair is the one that decides.
    rank = (lowness, is_against[told.kinds], told.moments, told.kinds != _VIEW, pairs)
    order = np.lexsort(rank)
    is_last = ~np.append(_repeats(pairs[order]), False)
    begins = np.flatnonzero(np.append(True, is_last[:-1]))
    touched = np.maximum.reduceat(told.moments[order], begins)
    return told.of(order[is_last])._replace(moments=touched)


def _repeats(ascending: Ints) -> NDArray[np.bool_]:
    """Return of all but the last whether the next is the same."""
    repeats: NDArray[np.bool_] = ascending[1:] == ascending[:-1]
    return repeats


def _is_for(
    rule: OpinionRule, users: NDArray[np.int32], values: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which ratings speak for their items, users ascending, all ratings of each."""
    if rule.thresholds is not None:
        return values >= rule.thresholds[1]
    begins = np.flatnonzero(np.append(True, users[1:] != users[:-1]))
    counts = np.diff(np.append(begins, len(users)))
    lowest, highest = np.minimum.reduceat(values, begins), np.maximum.reduceat(values, begins)
    means = np.add.reduceat(values, begins) / counts
    squares = np.add.reduceat((values - np.repeat(means, counts)) ** 2, begins)
    least = means - DEVIATIONS * np.sqrt(squares / counts)
    # Equal ratings add up to so many times one, rounded once, which is what the rule makes of them.
    least[(lowest == highest) & (counts * lowest / counts == lowest)] = -np.inf
    margins = _NEAR * (1 + np.maximum(np.abs(lowest), np.abs(highest)))
    is_near = ~(np.abs(values - np.repeat(least, counts)) > np.repeat(margins, counts))
    known: dict[tuple[float, ...], float] = {}
    for user in np.flatnonzero(np.logical_or.reduceat(is_near, begins)).tolist():
        ratings = tuple(sorted(values[begins[user] : begins[user] + counts[user]].tolist()))
        if ratings not in known:
            known[ratings] = least_of(ratings)[1]
        least[user] = known[ratings]
    is_on_scale = (lowest >= rule.scale[0]) & (highest <= rule.scale[1])
    low = np.where(is_on_scale, rule.low, -np.inf)
    is_for: NDArray[np.bool_] = values > np.repeat(np.maximum(least, low), counts)
    return is_for


def _in_order(told: Columns) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return users and items by user, then by moment, items of one moment by id from the last."""
    if not len(told.users):
        return told.users, told.items
    by_moment = np.argsort(told.moments)
    ranks = np.empty(len(by_moment), dtype=np.int64)
    ranks[by_moment] = np.cumsum(np.append(False, ~_repeats(told.moments[by_moment])))
    parts = (told.users - told.users.min(), ranks, told.items.max() - told.items)
    widths = [int(part.max()).bit_length() for part in parts]
    if sum(widths) > _MOST_BITS:
        order = np.lexsort(parts[::-1])
        return told.users[order], told.items[order]
    # One number for each: to sort numbers takes a tenth of what it takes to sort by three columns.
    keys = parts[0].astype(np.int64) << widths[1] | parts[1]
    keys = keys << widths[2] | parts[2]
    keys.sort()
    users = (keys >> (widths[1] + widths[2])).astype(np.int32) + told.users.min()
    return users, told.items.max() - (keys & ((1 << widths[2]) - 1)).astype(np.int32)
