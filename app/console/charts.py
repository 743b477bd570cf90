"""Charts as geometry: templates draw them as SVG, without any script or inline style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.console import words
from app.services.administration.dashboard import Day

WIDTH: Final = 1_040
HEIGHT: Final = 200
_LEFT: Final = 34
_TOP: Final = 14
_BOTTOM: Final = 26
_GAP: Final = 0.25  # of the room of one bar
_DAYS_A_LABEL: Final = 5
_BINS: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 600.0, 3_600.0, 86_400.0, 7 * 86_400.0)
"""Upper ends, seconds: an erasure takes seconds, waits for a store take hours, a hold days."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar in the coordinates of the picture.

    Args:
        label: what stands under it; empty for none.
        title: what a reader is told of it.
        series: which of the colours, from 0.
    """

    x: float
    y: float
    width: float
    height: float
    label: str
    title: str
    series: int = 0

    @property
    def middle(self) -> float:
        """Return where its label is centred."""
        return round(self.x + self.width / 2, 2)


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the scale."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A bar chart; ``rows`` are the same figures as a table."""

    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    base: int = HEIGHT - _BOTTOM


def requests_chart(days: Sequence[Day]) -> Chart:
    """Return requests received and completed, a pair of bars a day."""
    scale = _Scale.of(max((max(one.received, one.completed) for one in days), default=0))
    room = (WIDTH - _LEFT) / max(len(days), 1)
    bars = []
    for number, one in enumerate(days):
        is_named = (len(days) - 1 - number) % _DAYS_A_LABEL == 0
        for series, (what, value) in enumerate(
            (("received", one.received), ("completed", one.completed))
        ):
            bars.append(
                scale.bar(
                    value,
                    at=_LEFT + room * (number + _GAP / 2 + series * (1 - _GAP) / 2),
                    width=room * (1 - _GAP) / 2,
                    label=f"{one.day:%d %b}" if is_named and not series else "",
                    title=f"{one.day:%Y-%m-%d}: {value} {what}",
                    series=series,
                )
            )
    rows = [(f"{one.day:%Y-%m-%d}", str(one.received), str(one.completed)) for one in days]
    return Chart(bars, scale.ticks(), ("Day (UTC)", "Received", "Completed"), rows)


def durations_chart(durations_s: Sequence[float]) -> Chart:
    """Return how many erasures took how long, a bar a range of times."""
    counts = [0] * (len(_BINS) + 1)
    for duration_s in durations_s:
        counts[next((n for n, end in enumerate(_BINS) if duration_s < end), len(_BINS))] += 1
    scale = _Scale.of(max(counts))
    room = (WIDTH - _LEFT) / len(counts)
    ends = [_short(end) for end in _BINS]
    names = [f"to {ends[0]}", *(f"to {end}" for end in ends[1:]), "longer"]
    bars = [
        scale.bar(
            value,
            at=_LEFT + room * (number + _GAP / 2),
            width=room * (1 - _GAP),
            label=name,
            title=f"{name}: {value}",
        )
        for number, (name, value) in enumerate(zip(names, counts, strict=True))
    ]
    rows = [(name, str(value)) for name, value in zip(names, counts, strict=True)]
    return Chart(bars, scale.ticks(), ("Time", "Certificates"), rows)


def percentile(ascending: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile; ``share`` in (0, 1], at least one value."""
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]


@dataclass(frozen=True, slots=True)
class _Scale:
    """From counts to heights; ``top`` is a round number at or above the largest."""

    top: int

    @classmethod
    def of(cls, largest: int) -> _Scale:
        """Return the scale whose top has one digit that counts, and can be halved."""
        magnitude = 10 ** (len(str(largest)) - 1)
        return cls(next(step * magnitude for step in (2, 4, 6, 10) if step * magnitude >= largest))

    def bar(
        self, value: int, *, at: float, width: float, label: str, title: str, series: int = 0
    ) -> Bar:
        """Return the bar of a value."""
        height = (HEIGHT - _TOP - _BOTTOM) * value / self.top
        y = HEIGHT - _BOTTOM - height
        return Bar(
            round(at, 2), round(y, 2), round(width, 2), round(height, 2), label, title, series
        )

    def ticks(self) -> list[Tick]:
        """Return the scale's lines: half and top."""
        values = (self.top // 2, self.top)
        room = HEIGHT - _TOP - _BOTTOM
        return [
            Tick(round(HEIGHT - _BOTTOM - room * value / self.top, 2), words.count(value))
            for value in values
        ]


def _short(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
