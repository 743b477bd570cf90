"""Receipt, certificate and exported leaf: their published JSON schemas, as types of answers."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Annotated, Any, Final

from pydantic import WithJsonSchema


def _schema(name: str) -> dict[str, Any]:
    """Return a schema of ``app/data/schemas`` without what only a file of its own needs."""
    text = files("app.data").joinpath("schemas", f"{name}.v1.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return {key: value for key, value in schema.items() if key not in {"$schema", "$id"}}


LEAF: Final = _schema("leaf")
"""A line of an exported log."""
Receipt = Annotated[dict[str, object], WithJsonSchema(_schema("receipt"))]
Certificate = Annotated[dict[str, object], WithJsonSchema(_schema("certificate"))]
