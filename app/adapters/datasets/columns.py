"""Cells of separated files, with errors that name the column and not what it holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from app.adapters.datasets.lines import refuse
from app.adapters.datasets.options import TimeUnit
from app.domain.errors import InvalidInputError

USER: Final = frozenset({"userid", "user", "customerid", "customer", "visitorid"})
ITEM: Final = frozenset({"itemid", "item", "movieid", "bookid", "productid", "articleid"})
VALUE: Final = frozenset({"rating", "value", "score"})
TIME: Final = frozenset({"timestamp", "time", "datetime", "date", "occurredat"})
_TITLE: Final = ("title", "name")
_TITLE_OF: Final = re.compile(
    r"(.+title|(item|movie|film|book|product|article|news|song|track|album|game|app|video|recipe)"
    r"name)"
)
_PER_SECOND: Final = {TimeUnit.S: 1, TimeUnit.MS: 10**3, TimeUnit.US: 10**6}
_NAMES: Final = {
    TimeUnit.AUTO: "seconds",
    TimeUnit.S: "seconds",
    TimeUnit.MS: "milliseconds",
    TimeUnit.US: "microseconds",
}
_OLDEST_GUESS_S: Final = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
"""A number too large for seconds is taken for a finer unit only from here on."""
_SKEW_S: Final = 300.0  # as the wire form allows


def known_as(column: str) -> str:
    """Return a column's name without case and punctuation: ``userId`` is ``user_id``."""
    return re.sub(r"[^a-z0-9]", "", column.lower())


def find(columns: Iterable[str], *, known: frozenset[str]) -> str | None:
    """Return the first column whose name is one of the ``known`` ones."""
    return next((column for column in columns if known_as(column) in known), None)


def find_title(columns: Iterable[str]) -> str | None:
    """Return the column that names the item: ``title``, ``name``, ``book_title`` and the like."""
    named = {known_as(column): column for column in reversed(list(columns))}
    exact = [named[name] for name in _TITLE if name in named]
    likely = [column for name, column in reversed(named.items()) if _TITLE_OF.fullmatch(name)]
    return next(iter([*exact, *likely]), None)


def number(text: str, *, column: str) -> float:
    """Return the number in a cell.

    Raises:
        InvalidInputError: it holds none.
    """
    try:
        # float() also reads 1_000, which no data set means.
        return float(text.replace("_", "?"))
    except ValueError as error:
        raise refuse("is not a number", field=column) from error


def moment(text: str, *, column: str, unit: TimeUnit, now: datetime) -> datetime:
    """Return the time in a cell, aware.

    A number counts ``unit`` since 1970. AUTO takes seconds; a number that would be a time to come
    is milliseconds or microseconds, if that lies between 1990 and ``now``. Anything else is read
    as ISO 8601, in UTC where it has no offset.

    Raises:
        InvalidInputError: the cell holds no time, or one beyond the years 1 to 9999.
    """
    try:
        count = number(text, column=column)
    except InvalidInputError:
        return _iso(text, column=column)
    seconds = _guessed(count, latest_s=now.timestamp() + _SKEW_S)
    if unit is not TimeUnit.AUTO:
        seconds = count / _PER_SECOND[unit]
    if seconds is None:
        raise refuse("is no plausible time since 1970; see --time-unit", field=column)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise refuse(f"is not a time in {_NAMES[unit]} since 1970", field=column) from error


def _guessed(count: float, *, latest_s: float) -> float | None:
    """Return seconds since 1970 in the first unit under which ``count`` is plausible."""
    if not count > latest_s:
        return count
    finer = (count / per_second for per_second in _PER_SECOND.values())
    return next((s for s in finer if _OLDEST_GUESS_S <= s <= latest_s), None)


def _iso(text: str, *, column: str) -> datetime:
    try:
        told = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise refuse("is neither a number nor an ISO 8601 time", field=column) from error
    return told if told.tzinfo else told.replace(tzinfo=UTC)
