"""The wire forms of items and interactions: one validation for the API and the loaders.

What is read is parsed JSON. What is wrong is told all at once, by field and limit, and never by
the value, which may be personal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from app.domain.errors import FieldError, InvalidInputError
from app.domain.models import (
    AttributeValue,
    Consent,
    Item,
    ItemId,
    Kind,
    ReportedInteraction,
)
from app.wire.ids import EventId, ItemIdIn, UserId
from app.wire.messages import (
    MAX_ABS_VALUE,
    MAX_ATTRIBUTE_CHARS,
    MAX_ID_CHARS,
    MAX_LIST,
    field_errors,
)
from app.wire.moments import Moment

_MAX_TEXT_CHARS: Final = 8_192
_MAX_INTEGER: Final = 2**53
_KINDS: Final = frozenset(Kind)
_DEFAULT_SKEW: Final = timedelta(minutes=5)

_CONTROL: Final = r"\x00-\x1f\x7f-\x9f"
"""Unicode category Cc. Lone surrogates (Cs) are in no string that pydantic takes."""
_PRINTABLE: Final = rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$"
_LINES: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
_NO_SCALAR: Final = re.compile(rf"[{_CONTROL}\ud800-\udfff]")

_Title = Annotated[str, Field(min_length=1, max_length=512, pattern=_PRINTABLE)]
_Text = Annotated[str, Field(max_length=_MAX_TEXT_CHARS, pattern=_LINES)]


def _is_scalar(value: object) -> bool:
    match value:
        case bool():
            return True
        case int():
            return abs(value) <= _MAX_INTEGER
        case float():
            return math.isfinite(value)
        case str():
            return len(value) <= MAX_ATTRIBUTE_CHARS and not _NO_SCALAR.search(value)
        case _:
            return False


def _attribute(value: Any) -> AttributeValue:  # noqa: ANN401 - parsed JSON, told apart here
    is_list = isinstance(value, list) and len(value) <= MAX_LIST and all(map(_is_scalar, value))
    if not (is_list or _is_scalar(value)):
        raise PydanticCustomError("attribute", "is no attribute")  # see _attribute_error
    kept: AttributeValue = value
    return kept


def _attribute_name(name: str) -> str:
    if _NO_SCALAR.search(name):
        raise PydanticCustomError("attribute_name", "is not printable")  # the same
    return name


_SCALAR: Final = [
    {"type": "string", "maxLength": MAX_ATTRIBUTE_CHARS, "pattern": rf"^[^{_CONTROL}]*$"},
    {"type": "number"},
    {"type": "boolean"},
]
_Attributes = Annotated[
    dict[
        Annotated[str, Field(max_length=MAX_ID_CHARS), AfterValidator(_attribute_name)],
        Annotated[AttributeValue, PlainValidator(_attribute)],
    ],
    Field(max_length=64),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": 64,
            "propertyNames": {"maxLength": MAX_ID_CHARS, "pattern": rf"^[^{_CONTROL}]*$"},
            "additionalProperties": {
                "anyOf": [
                    *_SCALAR,
                    {"type": "array", "maxItems": MAX_LIST, "items": {"anyOf": _SCALAR}},
                ]
            },
        }
    ),
]


class In(BaseModel):
    """What is sent: unknown fields are refused, and no error repeats what was sent."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class _ItemFieldsIn(In):
    title: _Title = Field(
        description="Shown to people and to the language model; 1 to 512 printable characters."
    )
    description: _Text | None = Field(
        default=None, description="What it is about; up to 8,192 characters, line ends allowed."
    )
    attributes: _Attributes = Field(
        default={},
        description="Flat facts, up to 64. A name has up to 128 characters; a value is a string "
        "of up to 512, a finite number (whole ones up to 2^53), a boolean, or up to 64 of them.",
    )
    available: bool = Field(
        default=True,
        strict=True,
        description="Whether it may be recommended; what users did with it counts all the same.",
    )

    def to_domain(self, item_id: str) -> Item:
        """Return the domain's value."""
        return Item(
            ItemId(item_id),
            self.title,
            self.description or "",
            self.attributes,
            available=self.available,
        )


class ItemIn(_ItemFieldsIn):
    """A catalogue entry."""

    item_id: ItemIdIn


class ItemBodyIn(_ItemFieldsIn):
    """A catalogue entry whose id is in the address, and may be here again."""

    item_id: ItemIdIn | None = Field(
        default=None,
        description="The id in the address, or nothing; 1 to 128 printable characters.",
    )


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
    text: _Text | None = Field(
        default=None, description="The user's own words; up to 8,192 characters, line ends allowed."
    )
    renewed_consent: ConsentIn | None = Field(
        default=None,
        description="Lets this user, after an erasure of everything, in again, and nobody else.",
    )


def item_from_wire(data: object, *, at: str = "") -> Item:
    """Read an item such as ``{"item_id": "50", "title": "…", "attributes": {"year": 1977}}``.

    Args:
        data: parsed JSON.
        at: path of the object in its body, for error messages, such as ``items.3``.

    Raises:
        InvalidInputError: with every field that is wrong.
    """
    try:
        read = ItemIn.model_validate(data)
    except ValidationError as error:
        raise InvalidInputError(*field_errors(_details(error), at=at)) from None
    return read.to_domain(read.item_id)


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
        errors = field_errors(_details(error), at=at)
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


def _details(error: ValidationError) -> Sequence[Mapping[str, Any]]:
    return error.errors(include_url=False)
