"""Figures and times as people read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00$", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


def when(moment: datetime) -> str:
    """Return the time to the second, UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def clock(moment: datetime) -> str:
    """Return the time of the day to the millisecond, UTC."""
    at = moment.astimezone(UTC)
    return f"{at:%H:%M:%S}.{at.microsecond // 1_000:03d}"


def day(moment: datetime) -> str:
    """Return the date, UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def count(number: int) -> str:
    """Return a number with thin groups of three."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def milliseconds(value: float) -> str:
    """Return a duration of steps: two digits that count."""
    if value >= 1_000:  # noqa: PLR2004 - milliseconds of a second
        return f"{value / 1_000:.1f} s"
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"  # noqa: PLR2004 - two digits


def duration(seconds: float) -> str:
    """Return a duration such as ``12 ms``, ``4.2 s``, ``2 min 4 s``, ``3 hours``, ``29 days``."""
    if seconds < 1:
        return f"{1_000 * seconds:.0f} ms"
    if seconds < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{seconds:.1f} s"
    if seconds < 3_600:  # noqa: PLR2004 - seconds of an hour
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    return span(timedelta(seconds=seconds))


def span(delta: timedelta) -> str:
    """Return a duration in whole units, rounded down."""
    total = int(delta.total_seconds())
    for seconds, name in _UNITS:
        if total >= seconds:
            number = total // seconds
            return f"{number} {name}{'' if number == 1 else 's'}"
    return "0 seconds"


def due(due_at: datetime, *, now: datetime) -> str:
    """Return how long there is still time, or since when there is none."""
    left = due_at - now
    return f"overdue by {span(-left)}" if left < timedelta(0) else f"in {span(left)}"


def size(n_bytes: float) -> str:
    """Return a number of bytes, in powers of 1,000."""
    return _scaled(n_bytes, 1_000, ("B", "kB", "MB", "GB", "TB"))


def binary_size(n_bytes: float) -> str:
    """Return a number of bytes, in powers of 1,024."""
    return _scaled(n_bytes, 1_024, ("bytes", "KiB", "MiB", "GiB", "TiB"))


def _scaled(value: float, step: int, units: Sequence[str]) -> str:
    rank = 0
    while value >= step and rank < len(units) - 1:
        value, rank = value / step, rank + 1
    return f"{value:.{min(rank, 1)}f} {units[rank]}"


def long_time(moment: datetime) -> str:
    """Return the time to the second, UTC, with the month in words."""
    return moment.astimezone(UTC).strftime("%-d %B %Y, %H:%M:%S UTC")


def short(text: str) -> str:
    """Return the beginning of a long id or hash."""
    return text if len(text) <= 12 else f"{text[:8]}…"  # noqa: PLR2004 - shorter is no shorter


def spoken(code: str) -> str:
    """Return a code as words: ``on_hold`` is "on hold", ``forget.on_hold`` "forget: on hold"."""
    return code.replace("_", " ").replace(".", ": ")


def fact_name(name: str) -> str:
    """Return a fact's name as words; a number needs no "n"."""
    return spoken(name.removeprefix("n_"))


def fact(value: str) -> str:
    """Return a fact's value as people read it: times without their microseconds."""
    return when(datetime.fromisoformat(value)) if _TIME.match(value) else value


def is_digest(value: str) -> bool:
    """Whether a value is a hash, which nobody reads to the end."""
    return _DIGEST.fullmatch(value) is not None


def sentence(text: str) -> str:
    """Return ``text`` with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
