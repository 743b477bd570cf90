"""What a caller can say about a data set that the files do not say themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TimeUnit(StrEnum):
    """Of numbers since 1970; AUTO takes the first under which a number is a time until now."""

    AUTO = "auto"
    S = "s"
    MS = "ms"
    US = "us"


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read; None looks at the file.

    Args:
        encoding: such as ``utf-8`` or ``cp1252``.
        user_column: name of the column with user ids; the others likewise.
        value_column: of numbers such as ratings.
        time_column: of seconds since 1970, or of ISO 8601 times.
        title_column: in the file of items.
        time_unit: of times that are numbers.
        default_time: when everything happened in data that have no times; aware.
    """

    encoding: str | None = None
    user_column: str | None = None
    item_column: str | None = None
    value_column: str | None = None
    time_column: str | None = None
    title_column: str | None = None
    time_unit: TimeUnit = TimeUnit.AUTO
    default_time: datetime | None = None


NOTHING_TOLD = ReadOptions()
