"""Wrong tokens cost whoever sends them time; right ones cost nobody anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from app.api import slowdown
from app.api.application import create_app
from app.api.slowdown import Slowdown
from app.domain.access import ROLES
from app.domain.errors import SlowedDownError
from tests.api.conftest import SERVICE, Api
from tests.api.test_edge import app_of
from tests.loops import run

KEY: Final = f"lethe_{'0' * 12}_{'a' * 43}"


def asked_from(address: str) -> Request:
    return Request({"type": "http", "client": (address, 1), "headers": []})


@dataclass
class Waits:
    """How long each wait was to be; none is waited for."""

    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def slow(waits: Waits) -> Slowdown:
    return Slowdown(wait=waits)


def fail(slow: Slowdown, token: str, *, address: str, times: int = 1) -> None:
    for _ in range(times):
        run(slow.note_wrong(asked_from(address), token, at_s=0.0))


def test_the_more_wrong_tokens_the_longer_the_wait_up_to_a_bound(
    slow: Slowdown, waits: Waits
) -> None:
    fail(slow, "guess", address="192.0.2.1", times=5)
    assert waits.seconds == []
    fail(slow, "guess", address="192.0.2.1", times=8)
    assert waits.seconds == sorted(waits.seconds)
    assert (waits.seconds[0], waits.seconds[-1]) == (0.2, 2.0)


@pytest.mark.parametrize(
    ("addresses", "token", "is_slowed"),
    [
        (lambda n: f"192.0.2.{n}", "guess", False),  # people everywhere who mistype
        (lambda n: f"192.0.2.{n}", KEY, True),  # a key is guessed from everywhere
        (lambda n: f"2001:db8::{n:x}", "guess", True),  # one customer's network
        (lambda n: f"2001:db8:0:{n:x}::1", "guess", False),
    ],
)
def test_senders_are_told_apart_by_address_and_by_key(
    slow: Slowdown, waits: Waits, addresses: Callable[[int], str], token: str, *, is_slowed: bool
) -> None:
    for number in range(20):
        fail(slow, token, address=addresses(number))

    assert bool(waits.seconds) is is_slowed


def test_who_guesses_on_is_not_looked_at_and_who_was_right_before_is(slow: Slowdown) -> None:
    slow.note_right("right")
    fail(slow, "guess", address="192.0.2.1", times=55)

    with pytest.raises(SlowedDownError):
        slow.require_open(asked_from("192.0.2.1"), "perhaps right", at_s=1.0)
    slow.require_open(asked_from("192.0.2.1"), "right", at_s=1.0)
    slow.require_open(asked_from("192.0.2.2"), "perhaps right", at_s=1.0)
    slow.require_open(asked_from("192.0.2.1"), "perhaps right", at_s=601.0)


def test_what_is_remembered_is_bounded(slow: Slowdown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slowdown, "_MOST", 10)
    for number in range(100):
        fail(slow, "guess", address=f"192.0.2.{number}")
        slow.note_right(str(number))

    assert len(slow._failures) == len(slow._right) == 10  # noqa: SLF001 - memory is the promise


def test_a_service_that_is_guessed_at_answers_429_to_guesses_and_goes_on_for_others(
    api: Api, slow: Slowdown
) -> None:
    state = app_of(api).state.lethe
    first_seen_now = api.world.container.access.create("newcomer", ROLES["auditor"])
    get = TestClient(create_app(replace(state, slowdown=slow))).get
    assert get("/items", headers=SERVICE).status_code == 200

    guesses = [get("/items", headers={"Authorization": f"Bearer {n}"}) for n in range(60)]
    codes = [one.status_code for one in guesses]
    assert codes == [401] * 55 + [429] * 5
    assert guesses[-1].json()["code"] == "slowed_down"
    assert "retry-after" in guesses[-1].headers
    assert get("/items", headers=SERVICE).status_code == 200
    assert get("/recommend/me", headers=api.user_token("me")).status_code == 200
    late = {"Authorization": f"Bearer {first_seen_now}"}
    assert get("/admin/audit", headers=late).status_code == 429
