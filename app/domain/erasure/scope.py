"""The five scopes of an erasure request, and their JSON forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Final

from app.domain.errors import FieldError, InvalidInputError
from app.domain.models import EventKey, ItemId


@dataclass(frozen=True, slots=True)
class AllScope:
    """Everything of the user, the subject row included."""

    kind: ClassVar[str] = "all"


@dataclass(frozen=True, slots=True)
class ItemsScope:
    """Every interaction of the user with these items (1 to 1,000)."""

    item_ids: tuple[ItemId, ...]
    kind: ClassVar[str] = "items"


@dataclass(frozen=True, slots=True)
class EventsScope:
    """These events of the user (1 to 1,000), by key."""

    event_keys: tuple[EventKey, ...]
    kind: ClassVar[str] = "events"


@dataclass(frozen=True, slots=True)
class PeriodScope:
    """Interactions with ``start <= occurred_at < end``, both aware UTC."""

    start: datetime
    end: datetime
    kind: ClassVar[str] = "period"

    def ended_by(self, now: datetime) -> PeriodScope:
        """Return what of the period lies before ``now``: nobody is locked out of their future.

        Raises:
            InvalidInputError: nothing of it does.
        """
        if self.start >= now:
            raise InvalidInputError(FieldError("scope.from", "must lie before now"))
        return replace(self, end=min(self.end, now))


@dataclass(frozen=True, slots=True)
class TopicScope:
    """Whatever of the user's is about ``text`` (1 to 256 characters), by meaning and by words."""

    text: str
    kind: ClassVar[str] = "topic"


Scope = AllScope | ItemsScope | EventsScope | PeriodScope | TopicScope
CORRECTION: Final = "correction"
"""What a corrected event said before; nobody asks for this scope, a correction brings it about."""
SCOPE_KINDS: Final = ("all", "items", "events", "period", "topic", CORRECTION)


def scope_to_json(scope: Scope) -> dict[str, object]:
    """Return a JSON-able form that ``scope_from_json`` reads back."""
    match scope:
        case AllScope():
            return {"kind": "all"}
        case ItemsScope(item_ids=item_ids):
            return {"kind": "items", "item_ids": list(item_ids)}
        case EventsScope(event_keys=event_keys):
            return {"kind": "events", "event_keys": list(event_keys)}
        case PeriodScope(start=start, end=end):
            return {"kind": "period", "from": start.isoformat(), "to": end.isoformat()}
        case TopicScope(text=text):
            return {"kind": "topic", "text": text}


def scope_from_json(data: Mapping[str, object]) -> Scope:
    """Read what ``scope_to_json`` wrote.

    Raises:
        ValueError: an unknown kind, that is, a row written by a newer version.
    """
    match data:
        case {"kind": "all"}:
            return AllScope()
        case {"kind": "items", "item_ids": [*item_ids]}:
            return ItemsScope(tuple(ItemId(str(item_id)) for item_id in item_ids))
        case {"kind": "events", "event_keys": [*keys]}:
            return EventsScope(tuple(EventKey(str(key)) for key in keys))
        case {"kind": "period", "from": str(start), "to": str(end)}:
            return PeriodScope(datetime.fromisoformat(start), datetime.fromisoformat(end))
        case {"kind": "topic", "text": str(text)}:
            return TopicScope(text)
        case _:
            message = f"unknown scope kind {data.get('kind')!r}"
            raise ValueError(message)
