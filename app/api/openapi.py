"""The parts of the OpenAPI document that FastAPI can't derive: batch bodies."""

from __future__ import annotations

from typing import Final

from app.domain import wire
from app.domain.models import Kind

_ID: Final = {"type": "string", "minLength": 1, "maxLength": wire.MAX_ID_CHARS}
_USER: Final = {"type": "string", "minLength": 1, "maxLength": wire.MAX_USER_CHARS}
_SCALAR: Final = {
    "anyOf": [
        {"type": "string", "maxLength": wire.MAX_ATTRIBUTE_CHARS},
        {"type": "number"},
        {"type": "boolean"},
    ]
}
_SCHEMAS: Final[dict[str, dict[str, object]]] = {
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["item_id", "title"],
        "properties": {
            "item_id": _ID,
            "title": {"type": "string", "minLength": 1, "maxLength": wire.MAX_TITLE_CHARS},
            "description": {"type": "string", "maxLength": wire.MAX_TEXT_CHARS},
            "attributes": {
                "type": "object",
                "maxProperties": wire.MAX_ATTRIBUTES,
                "additionalProperties": {
                    "anyOf": [
                        _SCALAR,
                        {"type": "array", "maxItems": wire.MAX_LIST, "items": _SCALAR},
                    ]
                },
            },
        },
    },
    "interactions": {
        "type": "object",
        "additionalProperties": False,
        "required": ["event_id", "user", "kind", "occurred_at"],
        "properties": {
            "event_id": _USER,
            "user": _USER,
            "item_id": _ID,
            "kind": {"type": "string", "enum": list(Kind)},
            "value": {"type": "number"},
            "occurred_at": {"type": "string", "format": "date-time"},
            "text": {"type": "string", "maxLength": wire.MAX_TEXT_CHARS},
        },
    },
}


def batch_body(name: str) -> dict[str, object]:
    """Return the ``openapi_extra`` of a route that takes a batch of ``items`` or such."""
    schema = {"type": "array", "minItems": 1, "items": _SCHEMAS[name]}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": schema},
                "application/x-ndjson": {"schema": {"type": "string"}},
            },
        }
    }
