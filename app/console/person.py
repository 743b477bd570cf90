"""One person: what is held, what would go, and what an operator may do about it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from app.api.forget_in import ForgetIn
from app.api.state import State, StateDep
from app.console.guard import ConsoleRoute, Form, Operating, OwnForm
from app.console.pages import page
from app.domain.erasure.request import Ground
from app.domain.erasure.scope import AllScope
from app.domain.errors import FieldError, InvalidInputError
from app.wire.ids import user_id
from app.wire.messages import field_errors

HERE: Final = "/admin/console/person"
_SHOWN: Final = 50
Choice = TypeVar("Choice", bound=StrEnum)
router = APIRouter(prefix=HERE, route_class=ConsoleRoute, include_in_schema=False)


class Act(StrEnum):
    """What is done about a person."""

    LOOK = "look"
    FORGET = "forget"
    HOLD = "hold"
    LIFT = "lift"


@router.get("")
def get_person(request: Request, _operator: Operating) -> Response:
    """Ask whom it is about; the id is in no address."""
    return page(request, "person.html", user=None)


@router.post("")
def act(request: Request, form: OwnForm, _operator: Operating, state: StateDep) -> Response:
    """Look, or act and look."""
    user = user_id(form.get("user"))
    wanted = _one_of(Act, form, "act")
    if wanted is Act.FORGET:
        return RedirectResponse(f"/admin/console/requests/{_forget(user, form, state)}", 303)
    pseudonym = state.container.identity.pseudonym(user)
    if wanted in {Act.HOLD, Act.LIFT}:
        ground = _one_of(Ground, form, "ground") if wanted is Act.HOLD else None
        state.container.operations.hold_user(pseudonym, ground)
    held = state.container.request_lists.person(pseudonym)
    entries = state.container.resolver.preview(pseudonym, AllScope())
    return page(
        request,
        "person.html",
        user=user,
        subject=held.subject,
        topics=held.topics,
        requests=held.requests,
        entries=entries[:_SHOWN],
        n_entries=len(entries),
        grounds=list(Ground),
        done=wanted,
    )


def _forget(user: str, form: Form, state: State) -> str:
    """Accept an erasure of everything, as ``POST /forget`` does; return the request's id."""
    asked = form.get("requested_at")
    wanted = {
        "user": user,
        "scope": {"kind": "all"},
        "subject_request_id": form.get("ticket") or None,
        "requested_at": f"{asked}Z" if asked else None,
        "hold": form.get("hold") == "yes",
    }
    try:
        body = ForgetIn.model_validate(wanted)
    except ValidationError as error:
        details: Any = error.errors(include_url=False)
        raise InvalidInputError(*field_errors(details)) from None
    command = body.to_domain(state.container.identity, idempotency_key=None)
    return state.container.forget.accept(command).request.request_id


def _one_of(kind: type[Choice], form: Form, name: str) -> Choice:
    try:
        return kind(form.get(name, ""))
    except ValueError:
        raise InvalidInputError(FieldError(name, "choose one of the list")) from None
