"""Canonical JSON, against RFC 8785's own example and Python's reader."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.canonical_json import LARGEST_INTEGER, canonical_json, parse_canonical, parse_json
from app.domain.errors import InvalidInputError
from app.domain.strict_fields import Fields, decode_base64, format_time

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=127)), inner)
    ),
    max_leaves=12,
)


def test_strings_and_literals_are_written_as_in_the_rfc() -> None:
    """RFC 8785 section 3.2.2, without its array of fractions."""
    document = json.loads(
        r'{"string": "\u20ac$\u000F\u000aA' + r"'" + r'\u0042\u0022\u005c\\\"\/",'
        r' "literals": [null, true, false]}'
    )

    assert canonical_json(document) == (
        rb'{"literals":[null,true,false],"string":"'
        + "€$".encode()
        + rb"\u000f\nA'B\"\\\\\"/"
        + rb'"}'
    )


@given(plain)
def test_canonical_form_is_read_back_and_is_the_only_one(value: object) -> None:
    data = canonical_json(value)

    assert parse_canonical(data, name="x") == value
    assert parse_json(json.dumps(value, indent=1).encode(), name="x") == value


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": [1.5]}, "a.0"),
        ({"ä": 1}, "document"),
        ({"a": {"b": LARGEST_INTEGER + 1}}, "a.b"),
        ({"a": "\ud800"}, "a"),
        ({"a": b"bytes"}, "a"),
        ({1: 1}, "document"),
    ],
)
def test_what_has_no_canonical_form_is_named(value: object, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        canonical_json(value)
    assert caught.value.errors[0].field == field


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1, "b":2}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":NaN}',
        b'{"a":"\\u0041"}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a"',
        b"\xff",
        b"",
        b"[" * 100_000,
    ],
    ids=lambda data: str(data[:12]),
)
def test_any_other_form_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError):
        parse_canonical(data, name="x")


@given(st.datetimes(timezones=st.just(UTC)))
def test_time_has_one_form(at: datetime) -> None:
    text = format_time(at)

    assert Fields({"t": text}, path="").time("t") == at
    elsewhere = at.astimezone(timezone(timedelta(hours=3))) if at.year < 9999 else at
    assert format_time(elsewhere) == text


@pytest.mark.parametrize("text", ["QQ", "QR==", "Q===", "Q Q=", "QUI", "-_8="])
def test_base64_has_one_form(text: str) -> None:
    assert decode_base64(text) is None


@pytest.mark.parametrize(
    "time",
    ["2026-02-30T00:00:00.000000Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000+00:00"],
)
def test_other_times_are_refused(time: str) -> None:
    with pytest.raises(InvalidInputError, match="time"):
        Fields({"t": time}, path="").time("t")
