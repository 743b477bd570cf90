"""Bodies of requests: first the caller is checked, then the length, then the content.

Text from outside becomes values here and nowhere else in the API. Parsing leaves the event loop
free, so that a long body delays nobody but its sender.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine
from io import BytesIO
from typing import Annotated, Any, Final, NoReturn

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import HTTPException
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from app.api.auth import Require
from app.api.state import StateDep, state_of
from app.domain.errors import FieldError, InvalidInputError, UnauthenticatedError

_NDJSON: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_JSON: Final = "application/json"
_MOST_FIELDS: Final = 128
"""Most fields of one object: twice what an item may have. Each unknown one is an error to list."""
_WHITE: Final = re.compile(r"[ \t\n\r]*")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Body(Request):
    """A request whose body is read up to ``most`` bytes, and parsed in a thread of its own."""

    def __init__(self, request: Request, *, most: int) -> None:
        super().__init__(request.scope, request.receive)
        self._most = most

    async def body(self) -> bytes:
        """Return the body.

        Raises:
            HTTPException: 413, it has more; 400, the caller has gone.
        """
        if not hasattr(self, "_body"):
            self._body = await read_body(self, most=self._most)
        return self._body

    async def json(self) -> object:
        """Return the body as parsed JSON.

        Raises:
            InvalidInputError: it is none; says where.
        """
        if not hasattr(self, "_json"):
            if _media_type(self) != _JSON:
                raise InvalidInputError(FieldError("content-type", f"send {_JSON}"))
            self._json = await run_in_threadpool(_document, await self.body(), at="body")
        return self._json


class BodyRoute(APIRoute):
    """A route that reads nothing of a caller it does not let in, and nothing over the limit.

    FastAPI by itself reads and parses a body before it looks at any token.
    """

    def get_route_handler(self) -> Handler:
        """Return the handler behind the checks."""
        return self.behind_doors(super().get_route_handler())

    def behind_doors(self, handle: Handler) -> Handler:
        """Return a handler that is reached by who is let in, and that has the body, if any."""
        doors = [one.call for one in self.dependant.dependencies if isinstance(one.call, Require)]
        has_document = self.body_field is not None

        async def checked(request: Request) -> Response:
            for door in doors:
                await door.admit(request)
            body = Body(request, most=state_of(request).limits.max_body_bytes)
            if await body.body() and has_document:
                await body.json()
            return await handle(body)

        async def slowed(request: Request) -> Response:
            try:
                return await checked(request)
            except UnauthenticatedError:
                _, _, token = request.headers.get("authorization", "").partition(" ")
                if token:
                    state = state_of(request)
                    at_s = state.container.clock.monotonic_s()
                    await state.slowdown.note_wrong(request, token, at_s=at_s)
                raise

        return slowed


async def read_body(request: Request, *, most: int) -> bytes:
    """Return a body of at most ``most`` bytes, whatever its headers say.

    Raises:
        HTTPException: 413, it has more; 400, the caller has gone.
    """
    too_large = HTTPException(413, f"a body may have at most {most} bytes")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and (len(length) > len(str(2**63)) or int(length) > most):
        raise too_large
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise too_large
    except ClientDisconnect:
        raise HTTPException(400, "the body broke off") from None
    return bytes(body)


async def _raw(request: Request) -> bytes:
    return await request.body()


def batch_of(
    raw: Annotated[bytes, Depends(_raw)], request: Request, state: StateDep
) -> list[object]:
    """Return the entries of a batch as parsed JSON, one to ``max_batch``.

    Runs in a thread, and parses no entry beyond the limit.

    Raises:
        InvalidInputError: not JSON (with line and column), not a list, empty, too many.
    """
    media_type, most = _media_type(request), state.limits.max_batch
    if media_type in _NDJSON:
        entries = _lines(raw, most=most)
    elif media_type in {_JSON, ""}:
        entries = _array(_text(raw, at="body"), most=most)
    else:
        _refuse("content-type", f"send {_JSON} (an array) or application/x-ndjson")
    if not entries:
        _refuse("body", "holds no entry")
    return entries


Batch = Annotated[list[object], Depends(batch_of)]


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _lines(raw: bytes, *, most: int) -> list[object]:
    lines: list[tuple[int, bytes]] = []
    for number, line in enumerate(BytesIO(raw), start=1):
        if not line.isspace():
            lines.append((number, line))
            _require_room(len(lines) - 1, most=most)
    return [_document(line, at=f"line {number}") for number, line in lines]


def _array(text: str, *, most: int) -> list[object]:
    """Read a JSON array entry by entry, no further than to the first entry too many."""
    at = _skip_white(text, 0)
    if not text.startswith("[", at):
        _refuse("body", "must be a JSON array")
    entries: list[object] = []
    at = _skip_white(text, at + 1)
    is_open = not text.startswith("]", at)
    while is_open:
        _require_room(len(entries), most=most)
        entry, at = _value(text, at, name="body")
        entries.append(entry)
        at = _skip_white(text, at)
        is_open = text.startswith(",", at)
        if is_open:
            at = _skip_white(text, at + 1)
    if not text.startswith("]", at):
        _refuse_json(text, at, name="body")
    _require_end(text, at + 1, name="body")
    return entries


def _require_room(n_entries: int, *, most: int) -> None:
    if n_entries >= most:
        _refuse("body", f"holds more than {most} entries")


def _document(raw: bytes, *, at: str) -> object:
    """Read ``raw`` as one JSON value; ``at`` is what errors call it."""
    text = _text(raw, at=at)
    value, end = _value(text, _skip_white(text, 0), name=at)
    _require_end(text, end, name=at)
    return value


def _text(raw: bytes, *, at: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        _refuse(at, "not UTF-8")


def _value(text: str, at: int, *, name: str) -> tuple[object, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        _refuse_json(text, error.pos, name=name)
    except RecursionError:
        _refuse(name, "nested too deeply")
    except ValueError:  # an integer of more digits than Python is willing to read
        _refuse(name, "holds a number of too many digits")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) > _MOST_FIELDS:
        _refuse("body", f"holds an object of more than {_MOST_FIELDS} fields")
    return dict(pairs)


def _constant(_name: str) -> NoReturn:
    _refuse("body", "holds NaN or Infinity, which are not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def _skip_white(text: str, at: int) -> int:
    match = _WHITE.match(text, at)
    return match.end() if match else at


def _require_end(text: str, at: int, *, name: str) -> None:
    end = _skip_white(text, at)
    if end != len(text):
        _refuse_json(text, end, name=name)


def _refuse_json(text: str, at: int, *, name: str) -> NoReturn:
    place = json.JSONDecodeError("", text, at)
    _refuse(name, f"not JSON at line {place.lineno}, column {place.colno}")


def _refuse(field: str, message: str) -> NoReturn:
    raise InvalidInputError(FieldError(field, message))
