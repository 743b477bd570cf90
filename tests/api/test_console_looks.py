"""Charts, words and colours of the console."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import console
from app.console import words
from app.console.charts import HEIGHT, WIDTH, durations_chart, percentile, requests_chart
from app.console.files import FILES
from app.services.administration.dashboard import Day

CSS = FILES["console.css"].decode()
SWAGGER_UI_FOLDER = Path(console.__file__).parent / "static" / "swagger-ui"
SWAGGER_UI = {
    name: digest
    for digest, name in (
        line.split() for line in (SWAGGER_UI_FOLDER / "ORIGIN.txt").read_text().splitlines()[1:]
    )
}
TEXTS = [
    ("text", "page"),
    ("text", "card"),
    ("soft", "card"),
    ("soft", "page"),
    ("accent", "card"),
    ("accent", "page"),
    ("on-accent", "accent"),
    ("card", "bad"),
    ("ok", "ok-back"),
    ("warn", "warn-back"),
    ("bad", "bad-back"),
    ("bad", "card"),
    ("info", "info-back"),
    *(("text", f"{kind}-back") for kind in ("ok", "warn", "bad", "info")),
]
SHAPES = [
    ("edge", "card"),
    ("focus", "card"),
    ("focus", "page"),
    ("bar0", "card"),
    ("bar1", "card"),
]


def tokens(scheme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark if scheme == "dark" else light))


def luminance(colour: str) -> float:
    """Return the relative luminance, WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_enough_for_level_aa(scheme: str) -> None:
    colours = tokens(scheme)

    faint = {
        (front, back): round(contrast(colours[front], colours[back]), 2)
        for pairs, least in ((TEXTS, 4.5), (SHAPES, 3.0))
        for front, back in pairs
        if contrast(colours[front], colours[back]) < least
    }

    assert faint == {}


def test_both_schemes_have_the_same_colours_and_nothing_uses_others() -> None:
    assert tokens("light").keys() == tokens("dark").keys()
    rules = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgb|hsl", rules) == []
    assert set(re.findall(r"var\(--([\w-]+)\)", rules)) <= tokens("light").keys()


def test_swagger_ui_is_the_published_one_when_its_digests_are_compared() -> None:
    assert {"LICENSE", "NOTICE", "swagger-ui-bundle.js"} <= SWAGGER_UI.keys()
    for name, digest in SWAGGER_UI.items():
        assert hashlib.sha256((SWAGGER_UI_FOLDER / name).read_bytes()).hexdigest() == digest, name


def test_nothing_is_fetched_from_elsewhere() -> None:
    for name in FILES.keys() - SWAGGER_UI.keys():
        text = FILES[name].decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(|\beval\b|innerHTML|Function\(", text), name


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=60))
def test_bars_stay_in_the_picture(counts: list[int]) -> None:
    first = date(2026, 1, 1)
    days = [Day(first + timedelta(days=n), count, count // 2) for n, count in enumerate(counts)]

    chart = requests_chart(days)

    for bar in chart.bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= WIDTH + 0.1
        assert 0 <= bar.y <= bar.y + bar.height <= HEIGHT
    # Counts that differ by less than a pixel may have bars of one height, never in the wrong order.
    received = [bar.height for bar in chart.bars if bar.series == 0]
    in_order = sorted(range(len(counts)), key=counts.__getitem__)
    assert [received[day] for day in in_order] == sorted(received)
    assert [row[1] for row in chart.rows] == [str(count) for count in counts]


@given(st.lists(st.floats(0, 10**7)))
def test_every_duration_is_in_one_bar(durations: list[float]) -> None:
    chart = durations_chart(durations)

    assert sum(int(row[1]) for row in chart.rows) == len(durations)


def test_empty_charts_are_drawn() -> None:
    assert all(bar.height == 0 for bar in [*requests_chart([]).bars, *durations_chart([]).bars])


@pytest.mark.parametrize(("share", "value"), [(0.01, 1.0), (0.5, 2.0), (0.95, 4.0), (1.0, 4.0)])
def test_percentile_is_a_value_that_occurred(share: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == value


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (words.span(timedelta(days=1, hours=5)), "1 day"),
        (words.span(timedelta(seconds=119)), "1 minute"),
        (words.span(timedelta()), "0 seconds"),
        (words.duration(0.0123), "12 ms"),
        (words.duration(4.25), "4.2 s"),
        (words.duration(124.4), "2 min 4 s"),
        (words.duration(119.7), "2 min 0 s"),
        (words.duration(7_300), "2 hours"),
        (words.milliseconds(0.04), "0.0 ms"),
        (words.milliseconds(123.4), "123 ms"),
        (words.milliseconds(12_345), "12.3 s"),
        (words.size(999), "999 B"),
        (words.size(45_000_000), "45.0 MB"),
        (words.size(3.2e13), "32.0 TB"),
        (words.count(12_345), "12\N{NARROW NO-BREAK SPACE}345"),
        (words.spoken("forget.on_hold"), "forget: on hold"),
        (words.fact_name("n_memories"), "memories"),
        (words.fact("2026-12-23T23:14:40.963065+00:00"), "2026-12-23 23:14:40 UTC"),
        (words.fact("2026"), "2026"),
        (words.sentence("no such thing"), "No such thing."),
        (words.when(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)), "2026-01-02 03:04:05 UTC"),
    ],
)
def test_words_say_what_is_meant(told: str, expected: str) -> None:
    assert told == expected
