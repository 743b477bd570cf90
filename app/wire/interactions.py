"""The wire form of an interaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from app.domain.errors import FieldError, InvalidInputError
from app.domain.models import Consent, ItemId, Kind, ReportedInteraction
from app.wire.ids import EventId, ItemIdIn, UserId
from app.wire.messages import MAX_ABS_VALUE, field_errors
from app.wire.moments import Moment
from app.wire.schemas import In, Text, details_of

_KINDS: Final = frozenset(Kind)
_DEFAULT_SKEW: Final = timedelta(minutes=5)


class ConsentIn(In):
    """A new consent of somebody who was erased (GDPR Art. 7)."""

    at: Moment = Field(
        description="When it was given; only one from after the erasure lets the user return."
    )
    source: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$",
        description="Where, as a code of the caller's such as `cookie-banner`; up to 32 of a-z, "
        "0-9, dot, hyphen and underscore. Kept with the user, and nothing personal.",
    )

    def to_domain(self) -> Consent:
        """Return the domain's value."""
        return Consent(self.at, self.source)


class InteractionIn(In):
    """What a user did. A note needs `text`, every other kind `item_id`, a rating `value`."""

    event_id: EventId
    user: UserId
    item_id: ItemIdIn | None = Field(
        default=None, description="Of an item in the catalogue; 1 to 128 printable characters."
    )
    kind: Kind = Field(description="What the user did.")
    value: Annotated[float, Field(strict=True, allow_inf_nan=False)] | None = Field(
        default=None,
        ge=-MAX_ABS_VALUE,
        le=MAX_ABS_VALUE,
        description="Such as a rating, on the caller's own scale; -1e6 to 1e6.",
    )
    occurred_at: Moment = Field(
        description="ISO 8601 with a UTC offset; from 1900 until now, some minutes' skew allowed."
    )
    text: Text | None = Field(
        default=None, description="The user's own words; up to 8,192 characters, line ends allowed."
    )
    recommendation_id: Annotated[str, Field(max_length=1_024)] | None = Field(
        default=None,
        description="Of the list that the user found the item in; with `position`. Of it is kept "
        "which scenario and variant was answered, as long as the event.",
    )
    position: Annotated[int, Field(strict=True, ge=1, le=100)] | None = Field(
        default=None, description="The item's place in that list, from 1."
    )
    renewed_consent: ConsentIn | None = Field(
        default=None,
        description="Lets this user, after an erasure of everything, in again, and nobody else.",
    )


def interaction_from_wire(
    data: object, *, now: datetime, at: str = "", skew: timedelta = _DEFAULT_SKEW
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
    errors: list[FieldError] = []
    told: set[str] = set()
    try:
        read = InteractionIn.model_validate(data, context={"latest": now + skew})
    except ValidationError as error:
        errors = field_errors(details_of(error), at=at)
        fields = data if isinstance(data, Mapping) else {}
        told = {one.field.rpartition(".")[2] for one in errors}
    else:
        fields = read.__dict__
    errors += [
        FieldError(f"{at}.{name}" if at else name, message)
        for name, message in _missing(fields)
        if name not in told
    ]
    if errors:
        raise InvalidInputError(*errors)
    return ReportedInteraction(
        event_id=read.event_id,
        user=read.user,
        kind=read.kind,
        occurred_at=read.occurred_at,
        item_id=ItemId(read.item_id) if read.item_id else None,
        value=read.value,
        text=read.text,
        recommendation_id=read.recommendation_id,
        position=read.position,
        renewed_consent=read.renewed_consent.to_domain() if read.renewed_consent else None,
    )


def _missing(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what an interaction of its kind lacks, from its fields as sent or as read."""
    kind = fields.get("kind")
    if kind == Kind.NOTE:
        if not str(fields.get("text") or "").strip():
            yield "text", "is required for a note"
    elif isinstance(kind, str) and kind in _KINDS:
        if fields.get("item_id") is None:
            yield "item_id", "is required for every kind but note"
        if kind == Kind.RATING and fields.get("value") is None:
            yield "value", "is required for a rating"
    named, placed = fields.get("recommendation_id"), fields.get("position")
    if (named is None) != (placed is None):
        absent = "position" if placed is None else "recommendation_id"
        yield absent, "is required: recommendation_id and position go together"
