"""Moments in what is sent: ISO 8601 with an offset, from 1900 until the present."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

_OLDEST: Final = datetime(1900, 1, 1, tzinfo=UTC)


def _moment(raw: Any, info: ValidationInfo[dict[str, datetime]]) -> datetime:  # noqa: ANN401 - parsed JSON
    """Return an aware UTC time from ISO 8601 with an offset; the context holds the latest one.

    A reader of files may give a time that it has read already.
    """
    if not isinstance(raw, str | datetime):
        raise PydanticCustomError("moment", "is required, as an ISO 8601 string")
    try:
        moment = datetime.fromisoformat(raw) if isinstance(raw, str) else raw
    except ValueError:
        raise PydanticCustomError("moment", "must be an ISO 8601 date and time") from None
    if moment.tzinfo is None:
        raise PydanticCustomError("moment", "must have a UTC offset, such as Z")
    if not _OLDEST <= moment <= info.context["latest"]:
        raise PydanticCustomError("moment", "must lie between 1900 and now")
    return moment.astimezone(UTC)


Moment = Annotated[
    datetime, PlainValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]
