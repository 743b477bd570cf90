"""Who calls, and what they may do."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import TypeAdapter, ValidationError

from app.api.state import Security, state_of
from app.domain.errors import ForbiddenError, UnauthenticatedError
from app.wire.ids import UserId

_ALGORITHMS: Final = ["RS256", "ES256", "EdDSA"]
"""Asymmetric only: with a shared secret the verifier could sign."""
_USER: Final = TypeAdapter[str](UserId)
_bearer = HTTPBearer(auto_error=False, description="Service, admin or user (JWT) token")


class Role(StrEnum):
    """What a token stands for."""

    SERVICE = "service"
    ADMIN = "admin"
    USER = "user"
    BEARER = "bearer"
    """None of ours; perhaps a capability for one erasure request."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a token.

    Args:
        user: the user id, for the role ``user`` only.
        token: as sent; needed to check a capability.
    """

    role: Role
    token: str
    user: str | None = None

    def require_user(self, user: str) -> None:
        """Check that the caller may act for ``user``.

        Raises:
            ForbiddenError: a user's token acts for that user only.
        """
        if self.role is Role.USER and self.user != user:
            raise ForbiddenError("this token is for another user")


async def caller_of(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """Return who calls; looked up once a request.

    Not blocking, like every dependency here, so that none of them costs a thread.

    Raises:
        UnauthenticatedError: no token.
    """
    if credentials is None:
        raise UnauthenticatedError("send a bearer token")
    known: Caller | None = getattr(request.state, "caller", None)
    if known is None:
        known = request.state.caller = _caller(credentials.credentials, state_of(request).security)
    return known


def _caller(token: str, security: Security) -> Caller:
    if _is(token, security.admin_token):
        return Caller(Role.ADMIN, token)
    if _is(token, security.service_token):
        return Caller(Role.SERVICE, token)
    user = _user_of(token, public_key=security.jwt_public_key)
    return Caller(Role.USER, token, user) if user else Caller(Role.BEARER, token)


def _is(token: str, expected: str) -> bool:
    return hmac.compare_digest(token.encode(), expected.encode())


def _user_of(token: str, *, public_key: str | None) -> str | None:
    """Return the user a token was signed for; None for every other token, however odd."""
    if public_key is None:
        return None
    try:
        claims = jwt.decode(
            token, public_key, algorithms=_ALGORITHMS, options={"require": ["exp", "sub"]}
        )
        return _USER.validate_python(claims["sub"], strict=True)
    except (jwt.PyJWTError, ValidationError, ValueError, ArithmeticError, RecursionError):
        # A header nested too deeply, an end at infinity: PyJWT lets some of these through.
        return None


class Require:
    """A dependency that lets only some roles pass."""

    def __init__(self, *roles: Role) -> None:
        self._roles = roles

    async def admit(self, request: Request) -> None:
        """Check the caller before anything else of the request is looked at; see ``__call__``."""
        await self(await caller_of(request, await _bearer(request)))

    async def __call__(self, caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        """Return the caller.

        Raises:
            UnauthenticatedError: the token is none of ours.
            ForbiddenError: the role may not do this.
        """
        if caller.role in self._roles:
            return caller
        if caller.role is Role.BEARER:
            raise UnauthenticatedError("the token is not valid")
        raise ForbiddenError(f"the role {caller.role} may not do this")


ServiceOrUser = Annotated[Caller, Depends(Require(Role.SERVICE, Role.USER))]
Service = Annotated[Caller, Depends(Require(Role.SERVICE))]
Admin = Annotated[Caller, Depends(Require(Role.ADMIN))]
Anyone = Annotated[Caller, Depends(Require(Role.SERVICE, Role.ADMIN, Role.USER, Role.BEARER))]
"""Any bearer; the route itself decides what the token opens."""
