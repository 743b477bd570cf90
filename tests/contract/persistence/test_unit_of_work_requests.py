"""Erasure requests and their journal, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.erasure.request import (
    FINAL,
    WORKABLE,
    ErasureRequest,
    Extension,
    Ground,
    Reason,
    RequestState,
    Step,
)
from app.domain.erasure.scope import (
    AllScope,
    EventsScope,
    ItemsScope,
    PeriodScope,
    Scope,
    TopicScope,
)
from app.domain.errors import ConflictError, IllegalMoveError
from app.domain.models import EventKey, ItemId
from app.ports.persistence.requests import NewRequest, RequestMatch
from tests.contract.persistence.sql_rows import (
    NOW,
    SECOND,
    due,
    hashed,
    new_request,
    request_id,
    step,
    user,
)

R = request_id("r")
SCOPES: list[Scope] = [
    AllScope(),
    ItemsScope((ItemId("50"), ItemId("ü"))),
    EventsScope((EventKey(hashed("e")),)),
    PeriodScope(NOW - SECOND, NOW),
    TopicScope("Harry Potter"),
]


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


@pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: scope.kind)
def test_a_request_comes_back_exactly(uows: SqlUnitsOfWork, scope: Scope) -> None:
    new = new_request("r", scope=scope)
    full = replace(
        new,
        request=replace(
            new.request,
            reason=Reason.CHILD,
            ground=Ground.ARCHIVING,
            error_code="dependency_unavailable",
            completed_at=NOW,
            change_seq=2**40,
            epoch=2**40,
        ),
    )
    _add(uows, full)

    assert _get(uows) == full.request


def test_an_unknown_request_is_none(uows: SqlUnitsOfWork) -> None:
    with uows.write() as uow:
        assert uow.requests.get(R) is None
        assert uow.requests.claim(R, owner="a", now=NOW, lease_until=NOW) is None
        assert not uow.requests.release(R, fence=0)
        assert uow.requests.steps(R) == []


@pytest.mark.parametrize(
    "second",
    [
        new_request("r"),
        new_request("other", key="key"),
        new_request("other", subject_key="subject key"),
    ],
    ids=["request id", "idempotency key", "subject request id"],
)
def test_a_key_is_used_once(uows: SqlUnitsOfWork, second: NewRequest) -> None:
    _add(uows, new_request("r", key="key", subject_key="subject key"))

    with pytest.raises(ConflictError):
        _add(uows, second)


def test_a_request_is_found_by_either_key(uows: SqlUnitsOfWork) -> None:
    one, other = new_request("r", key="key"), new_request("s", subject_key="subject key")
    _add(uows, one, other)
    known = RequestMatch(one.request, one.body_hash)

    with uows.read() as uow:
        find = uow.requests.find
        assert find(idempotency_hash=hashed("key"), subject_request_hash=None) == known
        by_subject = find(idempotency_hash=None, subject_request_hash=hashed("subject key"))
        assert by_subject == RequestMatch(other.request, other.body_hash)
        both = find(idempotency_hash=hashed("key"), subject_request_hash=hashed("subject key"))
        assert both == known
        assert find(idempotency_hash=hashed("no"), subject_request_hash=hashed("no")) is None
        assert find(idempotency_hash=None, subject_request_hash=None) is None


def test_requests_without_keys_never_collide(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r"), new_request("s"))

    with uows.read() as uow:
        assert uow.requests.count_by_state()[RequestState.SUPPRESSED] == 2


@pytest.mark.parametrize("state", RequestState)
def test_a_request_is_joined_until_it_is_final(uows: SqlUnitsOfWork, state: RequestState) -> None:
    new = new_request("r", state=state)
    _add(uows, new, new_request("later", state=state, received_at=NOW + SECOND))

    with uows.read() as uow:
        found = uow.requests.find_open(user("anna"), body_hash=new.body_hash)
        assert found == (None if state in FINAL else RequestMatch(new.request, new.body_hash))
        assert uow.requests.find_open(user("anna"), body_hash=hashed("other")) is None
        assert uow.requests.find_open(user("bert"), body_hash=new.body_hash) is None
        opened = [request.request_id for request in uow.requests.open_of(user("anna"))]
        assert opened == ([R, request_id("later")] if state in WORKABLE else [])
        assert uow.requests.open_of(user("bert")) == []


def test_a_move_needs_the_source_state(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r"))
    later = NOW + SECOND

    with uows.write() as uow:
        transition = uow.requests.transition
        scrubbed, verifying = RequestState.SCRUBBED, RequestState.VERIFYING
        assert not transition(R, source=scrubbed, target=verifying, at=later, fence=None)
        erasing = RequestState.ERASING
        assert transition(R, source=RequestState.SUPPRESSED, target=erasing, at=later, fence=None)

    moved = _get(uows)
    assert (moved.state, moved.updated_at, moved.completed_at) == (erasing, later, None)


def test_an_illegal_move_is_refused(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r"))

    with pytest.raises(IllegalMoveError), uows.write() as uow:
        uow.requests.transition(
            R, source=RequestState.SUPPRESSED, target=RequestState.COMPLETED, at=NOW, fence=None
        )


def test_completion_has_a_time(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r", state=RequestState.VERIFYING))

    with uows.write() as uow:
        done = RequestState.COMPLETED
        assert uow.requests.transition(
            R, source=RequestState.VERIFYING, target=done, at=NOW, fence=None
        )

    assert _get(uows).completed_at == NOW


def test_a_ground_stays_and_an_error_goes(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r", state=RequestState.ERASING))
    erasing, failed = RequestState.ERASING, RequestState.FAILED

    with uows.write() as uow:
        uow.requests.transition(
            R,
            source=erasing,
            target=failed,
            at=NOW,
            fence=None,
            error_code="integrity_error",
            ground=Ground.ARCHIVING,
        )
        failure = uow.requests.get(R)
        uow.requests.transition(R, source=failed, target=erasing, at=NOW, fence=None)
        retried = uow.requests.get(R)

    assert failure is not None
    assert retried is not None
    assert (failure.error_code, failure.ground) == ("integrity_error", Ground.ARCHIVING)
    assert (retried.error_code, retried.ground) == (None, Ground.ARCHIVING)


def test_an_outage_is_counted_and_named(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("r"))
    _claim(uows)

    with uows.write() as uow:
        uow.requests.postpone(R, fence=1, not_before=NOW, error_code="x", is_outage=True)
        assert not uow.requests.postpone(R, fence=0, not_before=NOW, is_outage=True)

    found = _get(uows)
    assert (found.attempts, found.outages, found.error_code) == (1, 1, "x")


def test_a_cleared_request_names_nobody(uows: SqlUnitsOfWork) -> None:
    new = new_request("r", key="key", scope=TopicScope("Harry Potter"))
    _add(uows, new)
    _claim(uows)

    with uows.write() as uow:
        assert uow.requests.clear_subject(R, fence=1)

    cleared = _get(uows)
    assert (cleared.pseudonym, cleared.scope, cleared.scope_kind) == (None, None, "topic")
    with uows.read() as uow:
        found = uow.requests.find(idempotency_hash=hashed("key"), subject_request_hash=None)
        assert found == RequestMatch(cleared, None)
        assert uow.requests.find_open(user("anna"), body_hash=new.body_hash) is None


def test_the_journal_keeps_the_first_of_a_step_in_the_order_of_the_steps(
    uows: SqlUnitsOfWork,
) -> None:
    done = [
        step("r", Step.ROWS, store="sql"),
        step("r", Step.MEMORY, store="chroma"),
        step("r", Step.MEMORY, store="a cache"),
        step("r", Step.DRAIN),
    ]
    _add(uows, new_request("r"), new_request("s"))

    with uows.write() as uow:
        for record in (*done, step("s", Step.DRAIN)):
            uow.requests.record_step(record)
        uow.requests.record_step(replace(done[0], touched=0, attempt=2))
        assert uow.requests.steps(R) == [done[3], done[2], done[1], done[0]]
        uow.requests.clear_steps(R)
        assert uow.requests.steps(R) == []
        assert len(uow.requests.steps(request_id("s"))) == 1


def test_a_page_is_newest_first(uows: SqlUnitsOfWork) -> None:
    failed = RequestState.FAILED
    _add(
        uows,
        new_request("1", received_at=NOW),
        new_request("2", received_at=NOW + SECOND, state=failed),
        new_request("3", received_at=NOW + 2 * SECOND),
    )

    def page(
        state: RequestState | None = None, before: datetime | None = None, limit: int = 9
    ) -> list[str]:
        with uows.read() as uow:
            found = uow.requests.page(state=state, before=before, limit=limit)
        return [request.request_id for request in found]

    one, two, three = (request_id(name) for name in "123")
    assert page() == [three, two, one]
    assert page(limit=1) == [three]
    assert page(before=NOW + 2 * SECOND) == [two, one]
    assert page(state=failed) == [two]
    assert page(state=failed, before=NOW) == []


def test_every_state_is_counted(uows: SqlUnitsOfWork) -> None:
    _add(uows, new_request("1"), new_request("2"), new_request("3", state=RequestState.FAILED))

    with uows.read() as uow:
        counts = uow.requests.count_by_state()

    assert set(counts) == set(RequestState)
    expected = {RequestState.SUPPRESSED: 2, RequestState.FAILED: 1}
    assert {state: n for state, n in counts.items() if n} == expected


def test_a_due_date_moves_forward_once_before_it_is_due_and_not_in_the_end(
    uows: SqlUnitsOfWork,
) -> None:
    soon, later = NOW + 50 * SECOND, NOW + 90 * SECOND
    _add(
        uows,
        due(new_request("r"), soon),
        due(new_request("late"), NOW),
        new_request("done", state=RequestState.COMPLETED),
    )

    def extend(name: str, *, due_at: datetime = later) -> bool:
        with uows.write() as uow:
            return uow.requests.extend(
                request_id(name),
                due_at=due_at,
                at=NOW + SECOND,
                extension=Extension.NUMBER,
                told_at=NOW,
            )

    assert not extend("r", due_at=NOW)
    assert extend("r")
    assert not extend("r", due_at=later + SECOND)
    assert not extend("late")
    assert not extend("done", due_at=datetime.max.replace(tzinfo=UTC))
    found = _get(uows)
    assert (found.due_at, found.updated_at) == (later, NOW + SECOND)
    assert (found.extension, found.told_at) == (Extension.NUMBER, NOW)
