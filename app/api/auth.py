"""Who calls, and what they may do."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.api.state import State, state_of
from app.domain.access import ROLES, SYSTEM, Holder, Scope, actor, key_id_of
from app.domain.errors import ForbiddenError, UnauthenticatedError

_bearer = HTTPBearer(auto_error=False, description="A key, or a user's own token (JWT)")
SETTINGS_ADMIN: Final = Holder("admin", ROLES["operator"])
_SETTINGS_SERVICE: Final = Holder("service", SYSTEM)
STAFF: Final = (Scope.AUDIT, Scope.OPERATE)
"""Scopes whose holders are named in the leaves of what they do."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a token.

    Args:
        token: as sent; needed to check a capability.
        holder: of a key, or of a token of the settings; None for everybody else.
        user: the user id that a user's own token was signed for.
    """

    token: str
    holder: Holder | None = None
    user: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether the token is one of ours; else it may be a capability for one request."""
        return self.holder is not None or self.user is not None

    def may(self, *scopes: Scope) -> bool:
        """Whether the caller's key opens one of these."""
        return self.holder is not None and not self.holder.scopes.isdisjoint(scopes)

    def require_user(self, user: str) -> None:
        """Check that the caller may act for ``user``.

        Raises:
            ForbiddenError: a user's token acts for that user only.
        """
        if self.user is not None and self.user != user:
            raise ForbiddenError("this token is for another user")


async def caller_of(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """Return who calls; looked up once a request.

    Not blocking, like every dependency here: only a key is looked up in a thread.

    Raises:
        UnauthenticatedError: no token.
    """
    if credentials is None:
        raise UnauthenticatedError("send a bearer token")
    known: Caller | None = getattr(request.state, "caller", None)
    if known is None:
        known = request.state.caller = await _caller(credentials.credentials, request)
    if known.holder is not None and known.may(*STAFF):
        actor.set(known.holder.name)  # of this request's leaves; each request has its own context
    return known


async def _caller(token: str, request: Request) -> Caller:
    state = state_of(request)
    users, at = state.security.users, state.container.clock.now()
    # A key set may have to be waited for; a signature is not guessed, so it is looked at first.
    if users.keys is None:
        user = users.user_of(token, at=at)
    else:
        user = await run_in_threadpool(users.user_of, token, at=at)
    return (
        Caller(token, user=user) if user else Caller(token, await holder_of(token, state, request))
    )


async def holder_of(token: str, state: State, request: Request) -> Holder | None:
    """Return who holds a token of the settings, or a key; None for every other token.

    Raises:
        SlowedDownError: too many wrong tokens came from there.
    """
    at_s = state.container.clock.monotonic_s()
    state.slowdown.require_open(request, token, at_s=at_s)
    holder = await _holder_of(token, state)
    if holder is not None:
        state.slowdown.note_right(token)
    return holder


async def _holder_of(token: str, state: State) -> Holder | None:
    for expected, holder in (
        (state.security.admin_token, SETTINGS_ADMIN),
        (state.security.service_token, _SETTINGS_SERVICE),
    ):
        if hmac.compare_digest(token.encode(), expected.encode()):
            return holder
    if key_id_of(token) is None:
        return None
    return await run_in_threadpool(state.container.access.holder_of, token)


@dataclass(frozen=True, slots=True)
class Require:
    """A dependency that lets pass whose key has the scope, and users for themselves.

    Args:
        scope: None for every bearer: the route itself decides what the token opens.
        for_users: users may come with tokens of their own; the route checks whose data it gives.
    """

    scope: Scope | None
    for_users: bool = False

    async def admit(self, request: Request) -> None:
        """Check the caller before anything else of the request is looked at; see ``__call__``."""
        await self(await caller_of(request, await _bearer(request)))

    async def __call__(self, caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        """Return the caller.

        Raises:
            UnauthenticatedError: the token is none of ours.
            ForbiddenError: it does not open this.
        """
        is_user = self.for_users and caller.user is not None
        if self.scope is None or caller.may(self.scope) or is_user:
            return caller
        if not caller.is_known:
            raise UnauthenticatedError("the token is not valid")
        raise ForbiddenError(f"this takes a key with the scope {self.scope}")


Reader = Annotated[Caller, Depends(Require(Scope.READ))]
ReaderOrUser = Annotated[Caller, Depends(Require(Scope.READ, for_users=True))]
Ingester = Annotated[Caller, Depends(Require(Scope.INGEST))]
Forgetter = Annotated[Caller, Depends(Require(Scope.FORGET))]
ForgetterOrUser = Annotated[Caller, Depends(Require(Scope.FORGET, for_users=True))]
Auditor = Annotated[Caller, Depends(Require(Scope.AUDIT))]
Operator = Annotated[Caller, Depends(Require(Scope.OPERATE))]
Anyone = Annotated[Caller, Depends(Require(None))]
