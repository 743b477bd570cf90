"""The wire forms of items and interactions: one validation for the API and the loaders.

What is read is parsed JSON. What is wrong is told all at once, by field and limit, and never by
the value, which may be personal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
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

from app.domain.errors import InvalidInputError
from app.domain.models import AttributeValue, Item, ItemId
from app.wire.ids import ItemIdIn
from app.wire.messages import (
    MAX_ATTRIBUTE_CHARS,
    MAX_ID_CHARS,
    MAX_LIST,
    field_errors,
)

_MAX_TEXT_CHARS: Final = 8_192
_MAX_INTEGER: Final = 2**53

_CONTROL: Final = r"\x00-\x1f\x7f-\x9f"
"""Unicode category Cc. Lone surrogates (Cs) are in no string that pydantic takes."""
_PRINTABLE: Final = rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$"
_LINES: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
_NO_SCALAR: Final = re.compile(rf"[{_CONTROL}\ud800-\udfff]")

_Title = Annotated[str, Field(min_length=1, max_length=512, pattern=_PRINTABLE)]
Text = Annotated[str, Field(max_length=_MAX_TEXT_CHARS, pattern=_LINES)]


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
    description: Text | None = Field(
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
        raise InvalidInputError(*field_errors(details_of(error), at=at)) from None
    return read.to_domain(read.item_id)


def details_of(error: ValidationError) -> Sequence[Mapping[str, Any]]:
    """Return what pydantic found, without its addresses."""
    return error.errors(include_url=False)
