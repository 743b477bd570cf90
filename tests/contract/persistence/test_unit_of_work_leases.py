"""Who may work on an erasure request, on both databases."""

from __future__ import annotations

from datetime import datetime

import pytest

from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.erasure.request import (
    WORKABLE,
    ErasureRequest,
    RequestState,
)
from app.ports.persistence.requests import NewRequest
from tests.contract.persistence.sql_rows import NOW, SECOND, due, new_request, request_id

R = request_id("r")


def _add(uows: SqlUnitsOfWork, *new: NewRequest) -> None:
    with uows.write() as uow:
        for one in new:
            uow.requests.add(one)


def _get(uows: SqlUnitsOfWork, name: str = "r") -> ErasureRequest:
    with uows.read() as uow:
        found = uow.requests.get(request_id(name))
    assert found is not None
    return found


def _claim(uows: SqlUnitsOfWork, *, owner: str = "a", now: datetime = NOW) -> ErasureRequest | None:
    with uows.write() as uow:
        return uow.requests.claim(R, owner=owner, now=now, lease_until=now + 10 * SECOND)


def test_a_claim_raises_fence_and_attempts(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r"))

    first = _claim(uows)
    assert first is not None
    assert (first.fence, first.attempts) == (1, 1)
    assert first == _get(uows)

    second = _claim(uows, owner="b", now=NOW + 10 * SECOND)
    assert second is not None
    assert (second.fence, second.attempts) == (2, 2)


def test_a_valid_lease_keeps_everyone_out(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r"))
    assert _claim(uows) is not None

    assert _claim(uows, owner="b", now=NOW + 9 * SECOND) is None
    assert _claim(uows, owner="a", now=NOW + 9 * SECOND) is None
    assert _get(uows).attempts == 1


@pytest.mark.parametrize("state", RequestState)
def test_only_workable_states_are_claimed(uows: SqlUnitsOfWork, state: RequestState) -> None:
    _add(uows, new_request("r", state=state))

    with uows.read() as uow:
        claimable = uow.requests.claimable(now=NOW, limit=9)

    assert claimable == ([R] if state in WORKABLE else [])
    assert (_claim(uows) is not None) is (state in WORKABLE)


def test_an_old_fence_can_do_nothing(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r"))
    _claim(uows)
    newest = _claim(uows, owner="b", now=NOW + 20 * SECOND)
    assert newest is not None
    before = _get(uows)

    with uows.write() as uow:
        requests = uow.requests
        suppressed, erasing = RequestState.SUPPRESSED, RequestState.ERASING
        assert not requests.transition(R, source=suppressed, target=erasing, at=NOW, fence=1)
        assert not requests.heartbeat(R, fence=1, lease_until=NOW + 99 * SECOND)
        assert not requests.release(R, fence=1)
        assert not requests.postpone(R, fence=1, not_before=NOW + 99 * SECOND)
        assert not requests.clear_subject(R, fence=1)

    assert _get(uows) == before
    assert _claim(uows, now=NOW + 29 * SECOND) is None
    with uows.write() as uow:
        assert uow.requests.transition(R, source=suppressed, target=erasing, at=NOW, fence=2)


def test_a_heartbeat_extends_the_lease(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r"))
    _claim(uows)

    with uows.write() as uow:
        assert uow.requests.heartbeat(R, fence=1, lease_until=NOW + 60 * SECOND)

    assert _claim(uows, now=NOW + 59 * SECOND) is None
    assert _claim(uows, now=NOW + 60 * SECOND) is not None


def test_a_released_request_is_claimed_at_once(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r"))
    _claim(uows)

    with uows.write() as uow:
        assert uow.requests.release(R, fence=1)
        assert not uow.requests.heartbeat(R, fence=1, lease_until=NOW + 60 * SECOND)

    assert _claim(uows) is not None


def test_a_postponed_request_waits(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r"))
    _claim(uows)

    with uows.write() as uow:
        assert uow.requests.postpone(R, fence=1, not_before=NOW + 60 * SECOND)
        assert uow.requests.claimable(now=NOW + 59 * SECOND, limit=9) == []
        assert uow.requests.claimable(now=NOW + 60 * SECOND, limit=9) == [R]

    assert _claim(uows, now=NOW + 59 * SECOND) is None
    assert _claim(uows, now=NOW + 60 * SECOND) is not None


def test_a_released_hold_carries_no_back_off(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r"))
    _claim(uows)
    suppressed, held = RequestState.SUPPRESSED, RequestState.ON_HOLD

    with uows.write() as uow:
        uow.requests.postpone(R, fence=1, not_before=NOW + 60 * SECOND)
        assert uow.requests.transition(R, source=suppressed, target=held, at=NOW, fence=None)
        assert uow.requests.transition(R, source=held, target=suppressed, at=NOW, fence=None)

    assert _claim(uows) is not None


def test_a_move_between_workable_states_keeps_the_lease(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r"))
    _claim(uows)

    with uows.write() as uow:
        erasing = RequestState.ERASING
        assert uow.requests.transition(
            R, source=RequestState.SUPPRESSED, target=erasing, at=NOW, fence=1
        )

    assert _claim(uows, owner="b") is None


def test_the_most_urgent_is_claimable_first(uows: SqlUnitsOfWork) -> None:
    _add(
        uows,
        due(new_request("late"), NOW + 2 * SECOND),
        due(new_request("soon"), NOW + SECOND),
        due(new_request("taken"), NOW),
    )

    with uows.write() as uow:
        taken = request_id("taken")
        uow.requests.claim(taken, owner="a", now=NOW, lease_until=NOW + SECOND)
        soon, late = request_id("soon"), request_id("late")
        assert uow.requests.claimable(now=NOW, limit=9) == [soon, late]
        assert uow.requests.claimable(now=NOW, limit=1) == [soon]
        assert uow.requests.claimable(now=NOW + SECOND, limit=9) == [taken, soon, late]
