"""``POST /forget/batch``: the requests of many people at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import ValidationError

from app.api.auth import Forgetter
from app.api.bodies import Batch, BodyRoute
from app.api.errors import declared, problem_of
from app.api.forget import accepted_out
from app.api.forget_in import ForgetLineIn
from app.api.openapi import batch_body, lines_of
from app.api.state import State, StateDep
from app.domain.errors import AppError, InvalidInputError
from app.services.erasure.requests import Acceptance, ForgetCommand
from app.wire.messages import field_errors

router = APIRouter(tags=["forget"], route_class=BodyRoute)
_TOGETHER: Final = 50
"""Requests of one transaction: other writers wait for so many, about a quarter of a second."""


@router.post(
    "/forget/batch",
    response_class=StreamingResponse,
    openapi_extra=batch_body(ForgetLineIn),
    responses={200: lines_of("AcceptedOut"), **declared(422)},
)
def forget_many(_caller: Forgetter, entries: Batch, state: StateDep) -> StreamingResponse:
    """Accept many requests of `POST /forget`: all but the first wait for no signature.

    A line for each entry, in their order, as soon as it holds: the answer of `POST /forget`, or a
    problem, which keeps out no other entry. Where the answer breaks off, send the rest again;
    with an `idempotency_key` each, nothing is done twice. Several ids of one person are several
    entries with the same `subject_request_id`, so that no certificate ties one to the other.
    """
    return StreamingResponse(_lines(entries, state), media_type="application/x-ndjson")


def _lines(entries: Sequence[object], state: State) -> Iterator[bytes]:
    for start in range(0, len(entries), _TOGETHER):
        for told in _accept(entries[start : start + _TOGETHER], state):
            if isinstance(told, AppError):
                yield bytes(problem_of(told).body) + b"\n"
            else:
                yield accepted_out(told, state).model_dump_json(by_alias=True).encode() + b"\n"


def _accept(entries: Sequence[object], state: State) -> list[Acceptance | AppError]:
    read = [_read(entry, state) for entry in entries]
    commands = [one for one in read if isinstance(one, ForgetCommand)]
    try:
        answers = iter(state.container.forget.accept_all(commands))
    except AppError as error:  # of a store: none of them was recorded
        answers = iter([error] * len(commands))
    return [next(answers) if isinstance(one, ForgetCommand) else one for one in read]


def _read(entry: object, state: State) -> ForgetCommand | InvalidInputError:
    try:
        body = ForgetLineIn.model_validate(entry)
    except ValidationError as error:
        details: Any = error.errors(include_url=False)
        return InvalidInputError(*field_errors(details))
    return body.to_domain(state.container.identity, idempotency_key=body.idempotency_key)
