"""The wire forms of items and interactions: one validation for the API and the loaders.

Every reader takes parsed JSON and either returns a value or raises InvalidInputError with
all that is wrong. Messages name fields and limits, never the values, which may be personal.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from app.domain.errors import FieldError, InvalidInputError
from app.domain.models import AttributeValue, Item, ItemId, Kind, ReportedInteraction

MAX_ID_CHARS: Final = 128
MAX_USER_CHARS: Final = 256
MAX_TITLE_CHARS: Final = 512
MAX_TEXT_CHARS: Final = 8_192
MAX_ATTRIBUTES: Final = 64
MAX_LIST: Final = 64
MAX_ATTRIBUTE_CHARS: Final = 512
MAX_ABS_VALUE: Final = 1e6
OLDEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
DEFAULT_SKEW: Final = timedelta(minutes=5)

_ITEM_FIELDS: Final = frozenset({"item_id", "title", "description", "attributes"})
_INTERACTION_FIELDS: Final = frozenset(
    {"event_id", "user", "item_id", "kind", "value", "occurred_at", "text"}
)


class _Reader:
    """Collects every field error of one object before giving up on it."""

    def __init__(self, data: object, *, at: str, fields: frozenset[str]) -> None:
        self.at = at
        self.errors: list[FieldError] = []
        self.data: Mapping[str, object] = {}
        if not isinstance(data, Mapping):
            raise InvalidInputError(FieldError(at or "body", "must be a JSON object"))
        self.data = data
        if not fields.issuperset(data):  # the name is the caller's, and may be anybody's
            self.errors.append(FieldError(at or "body", "holds an unknown field"))

    def fail(self, name: str, message: str) -> None:
        self.errors.append(FieldError(f"{self.at}.{name}" if self.at else name, message))

    def text(self, name: str, *, most: int, required: bool, lines: bool = False) -> str | None:
        value = self.data.get(name)
        if value is None:
            if required:
                self.fail(name, "is required")
            return None
        if not isinstance(value, str):
            self.fail(name, "must be a string")
        elif not value.strip() and required:
            self.fail(name, "must not be empty")
        elif len(value) > most:
            self.fail(name, f"must have at most {most} characters")
        elif _has_control(value, lines=lines):
            self.fail(name, "must not hold control characters or lone surrogates")
        else:
            return value
        return None

    def finish(self) -> None:
        if self.errors:
            raise InvalidInputError(*self.errors)


def _has_control(value: str, *, lines: bool) -> bool:
    """Whether ``value`` holds characters of Unicode category Cc or Cs (line ends aside)."""
    allowed = "\n\r\t" if lines else ""
    return any(unicodedata.category(char) in {"Cc", "Cs"} and char not in allowed for char in value)


def item_from_wire(data: object, *, at: str = "") -> Item:
    """Read an item such as ``{"item_id": "50", "title": "…", "attributes": {"year": 1977}}``.

    Args:
        data: parsed JSON.
        at: path of the object in its body, for error messages, such as ``items.3``.

    Raises:
        InvalidInputError: with every field that is wrong.
    """
    reader = _Reader(data, at=at, fields=_ITEM_FIELDS)
    item_id = reader.text("item_id", most=MAX_ID_CHARS, required=True)
    title = reader.text("title", most=MAX_TITLE_CHARS, required=True)
    description = reader.text("description", most=MAX_TEXT_CHARS, required=False, lines=True)
    attributes = _attributes(reader)
    reader.finish()
    return Item(
        item_id=ItemId(item_id or ""),
        title=title or "",
        description=description or "",
        attributes=attributes,
    )


def _attributes(reader: _Reader) -> dict[str, AttributeValue]:
    raw = reader.data.get("attributes", {})
    if not isinstance(raw, Mapping):
        reader.fail("attributes", "must be a JSON object")
        return {}
    if len(raw) > MAX_ATTRIBUTES:
        reader.fail("attributes", f"must have at most {MAX_ATTRIBUTES} entries")
        return {}
    known: dict[str, AttributeValue] = {}
    problems: set[str] = set()
    for name, value in raw.items():
        if len(name) > MAX_ID_CHARS or _has_control(name, lines=False):
            problems.add(f"a name must be printable, up to {MAX_ID_CHARS} characters")
        elif _is_scalar(value) or (
            isinstance(value, list) and len(value) <= MAX_LIST and all(map(_is_scalar, value))
        ):
            known[name] = value
        else:
            problems.add(
                f"a value must be a string of up to {MAX_ATTRIBUTE_CHARS} characters, a finite "
                f"number, a boolean, or a list of up to {MAX_LIST} of them"
            )
    for problem in sorted(problems):
        reader.fail("attributes", problem)
    return known


def _is_scalar(value: object) -> bool:
    match value:
        case bool():
            return True
        case int():
            return abs(value) <= 2**53
        case float():
            return math.isfinite(value)
        case str():
            return len(value) <= MAX_ATTRIBUTE_CHARS and not _has_control(value, lines=False)
        case _:
            return False


def interaction_from_wire(
    data: object, *, now: datetime, at: str = "", skew: timedelta = DEFAULT_SKEW
) -> ReportedInteraction:
    """Read an interaction; ``kind`` note needs ``text``, every other kind needs ``item_id``.

    Args:
        data: parsed JSON.
        now: the present, aware UTC.
        at: path of the object in its body.
        skew: how far in the future ``occurred_at`` may lie.

    Raises:
        InvalidInputError: with every field that is wrong.
    """
    reader = _Reader(data, at=at, fields=_INTERACTION_FIELDS)
    event_id = reader.text("event_id", most=MAX_USER_CHARS, required=True)
    user = reader.text("user", most=MAX_USER_CHARS, required=True)
    text = reader.text("text", most=MAX_TEXT_CHARS, required=False, lines=True)
    item_id = reader.text("item_id", most=MAX_ID_CHARS, required=False)
    kind = _kind(reader)
    value = _value(reader, kind=kind)
    occurred_at = _time(reader, latest=now + skew)
    if kind is Kind.NOTE and not (text or "").strip() and "text" not in _failed(reader):
        reader.fail("text", "is required for a note")
    if kind not in {None, Kind.NOTE} and not item_id and "item_id" not in _failed(reader):
        reader.fail("item_id", "is required for every kind but note")
    reader.finish()
    return ReportedInteraction(
        event_id=event_id or "",
        user=user or "",
        kind=kind or Kind.VIEW,
        occurred_at=occurred_at or OLDEST,
        item_id=ItemId(item_id) if item_id else None,
        value=value,
        text=text,
    )


def _failed(reader: _Reader) -> set[str]:
    return {error.field.rpartition(".")[2] for error in reader.errors}


def _kind(reader: _Reader) -> Kind | None:
    raw = reader.data.get("kind")
    if isinstance(raw, str) and raw in set(Kind):
        return Kind(raw)
    reader.fail("kind", "must be one of " + ", ".join(Kind))
    return None


def _value(reader: _Reader, *, kind: Kind | None) -> float | None:
    raw = reader.data.get("value")
    if raw is None:
        if kind is Kind.RATING:
            reader.fail("value", "is required for a rating")
        return None
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        reader.fail("value", "must be a number")
    elif not -MAX_ABS_VALUE <= raw <= MAX_ABS_VALUE:  # also refuses NaN
        reader.fail("value", f"must lie between -{MAX_ABS_VALUE:g} and {MAX_ABS_VALUE:g}")
    else:
        return float(raw)
    return None


def _time(reader: _Reader, *, latest: datetime) -> datetime | None:
    raw = reader.data.get("occurred_at")
    if not isinstance(raw, str):
        reader.fail("occurred_at", "is required, as an ISO 8601 string")
        return None
    try:
        moment = datetime.fromisoformat(raw)
    except ValueError:
        reader.fail("occurred_at", "must be an ISO 8601 date and time")
        return None
    if moment.tzinfo is None:
        reader.fail("occurred_at", "must have a UTC offset, such as Z")
    elif not OLDEST <= moment <= latest:
        reader.fail("occurred_at", "must lie between 1900 and now")
    else:
        return moment.astimezone(UTC)
    return None
