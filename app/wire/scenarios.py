"""The wire forms of what a list is asked to prefer: factors, and presets of an installation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from app.domain.errors import InvalidInputError
from app.domain.models import Kind
from app.domain.recommendation.filter_parser import parse_where
from app.wire.schemas import In

WHERE: Final = (
    "Only items that a filter lets pass: MongoDB's operators on attributes, `item_id`, `title` and "
    "`updated_at`; no regular expressions."
)
_ANY_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)


def _filter(document: dict[str, object]) -> dict[str, object]:
    """Check a filter as far as it can be without a catalogue."""
    try:
        parse_where(document, now=_ANY_MOMENT, attributes=None)
    except InvalidInputError as error:
        raise ValueError(error.message) from None
    return document


class BoostIn(In):
    """Items that count more in the list, or less."""

    where: dict[str, object] = Field(description=WHERE)
    by: float = Field(ge=0.1, le=10, description="How many times as much; 0.1 to 10.")


class ScenarioIn(In):
    """A preset. What a request says itself goes before it; both filters hold."""

    where: Annotated[dict[str, object], AfterValidator(_filter)] | None = None
    boost: list[BoostIn] = Field(default=[], max_length=16)
    seen: list[Kind] = Field(default=list(Kind))
    diversity: float = Field(default=0.0, ge=0, le=1)
    fill: bool = True
