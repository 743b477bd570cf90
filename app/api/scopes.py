"""The shapes of scopes: what an erasure request is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from app.domain.erasure.scope import (
    AllScope,
    EventsScope,
    ItemsScope,
    PeriodScope,
    Scope,
    TopicScope,
)
from app.domain.models import ItemId, Pseudonym
from app.domain.privacy.pseudonyms import Identity
from app.wire.ids import EventId, ItemIdIn
from app.wire.schemas import In

PRINTABLE = r"^[^\x00-\x1f\x7f]+$"


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        message = "must lie in the years 1 to 9999, in UTC"
        raise ValueError(message) from None


def _written_out(at: object) -> object:
    """Refuse a number of seconds, which pydantic would take: the document says date-time."""
    if (isinstance(at, str) and at[4:5] == "-") or isinstance(at, datetime):
        return at
    message = "must be an RFC 3339 date and time, such as 2026-01-31T12:00:00Z"
    raise ValueError(message)


UtcTime = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_in_utc)]
"""A moment in RFC 3339 with an offset, turned to UTC."""


class AllScopeIn(In):
    """Everything."""

    kind: Literal["all"] = Field(description="Which scope this is.")

    def to_domain(self, _identity: Identity, _pseudonym: Pseudonym) -> Scope:
        return AllScope()


class ItemsScopeIn(In):
    """Every interaction with these items."""

    kind: Literal["items"] = Field(description="Which scope this is.")
    item_ids: list[ItemIdIn] = Field(
        min_length=1,
        max_length=1_000,
        description="1 to 1,000 items; order and repeats do not matter.",
    )

    def to_domain(self, _identity: Identity, _pseudonym: Pseudonym) -> Scope:
        """Return the domain's value; order and repeats do not matter."""
        return ItemsScope(tuple(sorted({ItemId(item_id) for item_id in self.item_ids})))


class EventsScopeIn(In):
    """These events, by the ids they were sent with."""

    kind: Literal["events"] = Field(description="Which scope this is.")
    event_ids: list[EventId] = Field(
        min_length=1,
        max_length=1_000,
        description="1 to 1,000 events, by the ids they were sent with.",
    )

    def to_domain(self, identity: Identity, pseudonym: Pseudonym) -> Scope:
        """Return the domain's value; the ids become keys here and go no further."""
        keys = {identity.event_key(pseudonym, event_id) for event_id in self.event_ids}
        return EventsScope(tuple(sorted(keys)))


class PeriodScopeIn(In):
    """Interactions that occurred from ``from`` (inclusive) to ``to`` (exclusive)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)
    kind: Literal["period"] = Field(description="Which scope this is.")
    start: UtcTime = Field(
        alias="from", description="First moment, inclusive; RFC 3339 with a UTC offset."
    )
    end: UtcTime = Field(
        alias="to", description="Last moment, exclusive and later; RFC 3339 with a UTC offset."
    )

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.start >= self.end:
            message = "from must lie before to"
            raise ValueError(message)
        return self

    def to_domain(self, _identity: Identity, _pseudonym: Pseudonym) -> Scope:
        return PeriodScope(self.start, self.end)


class TopicScopeIn(In):
    """Whatever is about this."""

    kind: Literal["topic"] = Field(description="Which scope this is.")
    text: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=2, max_length=256, pattern=PRINTABLE),
    ] = Field(description="What the memories are about; 2 to 256 printable characters.")

    def to_domain(self, _identity: Identity, _pseudonym: Pseudonym) -> Scope:
        return TopicScope(self.text)


ScopeIn = Annotated[
    AllScopeIn | ItemsScopeIn | EventsScopeIn | PeriodScopeIn | TopicScopeIn,
    Field(discriminator="kind", description="What is to be erased."),
]
