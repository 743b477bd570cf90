"""What routes get from the application: the use cases, the tokens, the limits, the metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request

from app.api.slowdown import Slowdown
from app.api.user_tokens import UserTokens
from app.container import Container
from app.observability import Metrics


@dataclass(frozen=True, slots=True)
class Security:
    """The tokens of the settings, and what users' tokens have to be."""

    service_token: str = field(repr=False)
    admin_token: str = field(repr=False)
    users: UserTokens = field(default_factory=UserTokens)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may weigh, and where answers point to.

    Args:
        max_body_bytes: of any body.
        max_batch: entries of a batch.
        future_skew: how far in the future an event may lie.
        public_url: what addresses in answers begin with; "" for paths.
    """

    max_body_bytes: int = 8_388_608
    max_batch: int = 1_000
    future_skew: timedelta = timedelta(minutes=5)
    public_url: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who writes the console's letters to people.

    Args:
        controller: name and address.
        contact: how they are reached.
        authority: whom people may complain to.
        folder: of templates that stand in for those that ship with the service.
    """

    controller: str = ""
    contact: str = ""
    authority: str = ""
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Everything a route may use."""

    container: Container
    security: Security
    limits: Limits
    metrics: Metrics
    sender: Sender = Sender()
    slowdown: Slowdown = field(default_factory=Slowdown)


def state_of(request: Request) -> State:
    """Return the state that ``create_app`` was given."""
    return cast("State", request.app.state.lethe)


async def _state(request: Request) -> State:
    """Return the state as a dependency; not blocking, so that it costs no thread."""
    return state_of(request)


StateDep = Annotated[State, Depends(_state)]


async def require_restored(request: Request) -> None:
    """Refuse a route that reads or writes users' data while a backup still brings some back."""
    state_of(request).container.restore.require_open()
