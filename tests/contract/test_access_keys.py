"""Keys of callers and staff over both databases: how long they open something, and for whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.access import ROLES, Scope
from app.domain.errors import ConflictError, InvalidInputError, NotFoundError
from app.domain.privacy.pseudonyms import Identity
from app.services.administration.access import KEPT, AccessService
from tests.stateful.doubles import SetClock

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW)


def service(uows: SqlUnitsOfWork, clock: SetClock, *, pepper: bytes = b"p" * 32) -> AccessService:
    """A process's own."""
    return AccessService(uows=uows, identity=Identity(pepper), clock=clock)


def test_a_key_opens_until_it_is_rotated_out_or_revoked(
    uows: SqlUnitsOfWork, clock: SetClock
) -> None:
    here, there = service(uows, clock), service(uows, clock)
    first = here.create("shop", frozenset({Scope.READ}))
    with pytest.raises(ConflictError):
        here.create("shop", ROLES["operator"])
    assert there.holder_of(first) == here.holder_of(first) is not None

    second = here.rotate("shop", keep_old=timedelta(hours=1))
    held = here.holder_of(second)
    assert held is not None
    assert held.scopes == {Scope.READ}
    assert here.holder_of(first) is not None
    clock.at += timedelta(hours=1)
    assert (here.holder_of(first), here.holder_of(second)) == (None, held)
    assert there.holder_of(second) == held

    assert here.revoke("shop") == 1
    assert here.holder_of(second) is None
    clock.at += KEPT + timedelta(seconds=1)
    assert there.holder_of(second) is None
    with pytest.raises(NotFoundError):
        here.rotate("shop", keep_old=timedelta(0))
    assert [one.ends_at is not None for one in here.all()] == [True, True]


def test_nothing_that_is_kept_opens_anything(uows: SqlUnitsOfWork, clock: SetClock) -> None:
    access = service(uows, clock)
    token = access.create("shop", frozenset({Scope.READ}))
    (key,) = access.all()

    guesses = [key.digest, key.holder.key_id, f"lethe_{key.holder.key_id}_{key.digest[:43]}"]
    guesses += [token[:-1] + ("A" if token[-1] != "A" else "B"), token + "A", token[:-1], ""]
    assert [access.holder_of(one) for one in guesses] == [None] * len(guesses)
    assert token.rpartition("_")[2] not in str(key)
    # The table without the pepper vouches for no token, not even for the right one.
    assert service(uows, clock, pepper=b"q" * 32).holder_of(token) is None


def test_a_session_that_was_ended_is_ended_in_every_process_and_forgotten_in_time(
    uows: SqlUnitsOfWork, clock: SetClock
) -> None:
    here, there = service(uows, clock), service(uows, clock)
    for session_id, lasts_h in (("a" * 32, 1), ("b" * 32, 9)):
        here.end_session(session_id, until=NOW + timedelta(hours=lasts_h))
    assert there.has_ended("a" * 32)
    assert not there.has_ended("c" * 32)

    clock.at += timedelta(hours=2)
    here.end_session("b" * 32, until=NOW + timedelta(hours=9))
    assert [there.has_ended(letter * 32) for letter in "ab"] == [False, True]


@pytest.mark.parametrize("name", ["", "Ada", "a b", "-a", "a" * 65, "ad\u00e4", "a\n"])
def test_a_name_is_one_that_can_stand_in_the_log(
    uows: SqlUnitsOfWork, clock: SetClock, name: str
) -> None:
    with pytest.raises(InvalidInputError):
        service(uows, clock).create(name, ROLES["auditor"])
