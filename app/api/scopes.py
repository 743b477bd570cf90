"""The shapes of scopes: what an erasure request is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from app.domain.identity import Identity
from app.domain.models import ItemId, Pseudonym
from app.domain.scope import (
    AllScope,
    EventsScope,
    ItemsScope,
    PeriodScope,
    Scope,
    TopicScope,
)
from app.domain.wire import MAX_ID_CHARS, MAX_USER_CHARS

PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
UserId = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_USER_CHARS, pattern=PRINTABLE)
]
ItemIdIn = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_ID_CHARS, pattern=PRINTABLE)
]


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        message = "must lie in the years 1 to 9999, in UTC"
        raise ValueError(message) from None


UtcTime = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A moment with an offset, turned to UTC."""


class In(BaseModel):
    """A request body: unknown fields are refused, and no error repeats what was sent."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class AllScopeIn(In):
    """Everything."""

    kind: Literal["all"]

    def to_domain(self, _identity: Identity, _pseudonym: Pseudonym) -> Scope:
        """Return the domain's value."""
        return AllScope()


class ItemsScopeIn(In):
    """Every interaction with these items."""

    kind: Literal["items"]
    item_ids: Annotated[list[ItemIdIn], Field(min_length=1, max_length=1_000)]

    def to_domain(self, _identity: Identity, _pseudonym: Pseudonym) -> Scope:
        """Return the domain's value; order and repeats do not matter."""
        return ItemsScope(tuple(sorted({ItemId(item_id) for item_id in self.item_ids})))


class EventsScopeIn(In):
    """These events, by the ids they were sent with."""

    kind: Literal["events"]
    event_ids: Annotated[list[UserId], Field(min_length=1, max_length=1_000)]

    def to_domain(self, identity: Identity, pseudonym: Pseudonym) -> Scope:
        """Return the domain's value; the ids become keys here and go no further."""
        keys = {identity.event_key(pseudonym, event_id) for event_id in self.event_ids}
        return EventsScope(tuple(sorted(keys)))


class PeriodScopeIn(In):
    """Interactions that occurred from ``from`` (inclusive) to ``to`` (exclusive)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)
    kind: Literal["period"]
    start: Annotated[UtcTime, Field(alias="from")]
    end: Annotated[UtcTime, Field(alias="to")]

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.start >= self.end:
            message = "from must lie before to"
            raise ValueError(message)
        return self

    def to_domain(self, _identity: Identity, _pseudonym: Pseudonym) -> Scope:
        """Return the domain's value."""
        return PeriodScope(self.start, self.end)


class TopicScopeIn(In):
    """Whatever is about this."""

    kind: Literal["topic"]
    text: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=2, max_length=256, pattern=PRINTABLE),
    ]

    def to_domain(self, _identity: Identity, _pseudonym: Pseudonym) -> Scope:
        """Return the domain's value."""
        return TopicScope(self.text)


ScopeIn = Annotated[
    AllScopeIn | ItemsScopeIn | EventsScopeIn | PeriodScopeIn | TopicScopeIn,
    Field(discriminator="kind"),
]
