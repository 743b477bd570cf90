"""Batches in request bodies: a JSON array, or NDJSON."""

from __future__ import annotations

import json
from typing import Annotated, Final

from fastapi import Depends, Request

from app.api.state import StateDep
from app.domain.errors import FieldError, InvalidInputError

_NDJSON: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_JSON: Final = frozenset({"application/json", ""})


async def batch_of(request: Request, state: StateDep) -> list[object]:
    """Return the entries of a batch as parsed JSON, one to ``max_batch``.

    Raises:
        InvalidInputError: not JSON (with line and column), not a list, empty, too many.
    """
    raw = await request.body()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    entries = _entries(raw, media_type=media_type)
    if not entries:
        raise InvalidInputError(FieldError("body", "holds no entry"))
    if len(entries) > state.limits.max_batch:
        limit = state.limits.max_batch
        raise InvalidInputError(FieldError("body", f"holds more than {limit} entries"))
    return entries


Batch = Annotated[list[object], Depends(batch_of)]


def _entries(raw: bytes, *, media_type: str) -> list[object]:
    if media_type in _NDJSON:
        lines = raw.splitlines()
        return [
            _parse(line, at=f"line {n}") for n, line in enumerate(lines, start=1) if line.strip()
        ]
    if media_type not in _JSON:
        message = "send application/json (an array) or application/x-ndjson"
        raise InvalidInputError(FieldError("content-type", message))
    body = _parse(raw, at="body")
    if not isinstance(body, list):
        raise InvalidInputError(FieldError("body", "must be a JSON array"))
    return body


def _parse(raw: bytes, *, at: str) -> object:
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        message = f"not JSON at line {error.lineno}, column {error.colno}"
        raise InvalidInputError(FieldError(at, message)) from None
    except UnicodeDecodeError:
        raise InvalidInputError(FieldError(at, "not UTF-8")) from None
    except RecursionError:
        raise InvalidInputError(FieldError(at, "nested too deeply")) from None
