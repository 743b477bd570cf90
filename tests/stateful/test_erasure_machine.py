"""The real repository on SQLite, step by step against the pure rules, with crashes and sleep."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.adapters.db import schema
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.audit import LeafKind
from app.domain.forgetting import Claim, ErasureRequest, RequestState, Step, Tombstone
from app.domain.models import RequestId
from app.services.erasure_run import ErasureRun, LeaseLostError, move
from app.services.operations import OperationsService
from tests.contract.sql_rows import new_request, request_id
from tests.stateful.leases import BACKOFF_TICKS, LEASE_TICKS, Row, State

TICK: Final = timedelta(seconds=10)
N_WORKERS: Final = 2
N_REQUESTS: Final = 1
WRITES: Final = (
    RequestState.ERASING,
    *(Step.DRAIN, Step.MEMORY, Step.CACHES),
    RequestState.SCRUBBED,
    RequestState.VERIFYING,
    *(Step.PROBE, Step.ROWS),
    RequestState.COMPLETED,
)
"""What a worker writes, in this order; fewer steps than in the service, the same machinery."""
_SERIAL: Final = itertools.count()


@dataclass
class SetClock:
    """Time that stands still until it is moved."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic_s(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class NoLedger:
    """A ledger that keeps nothing: what is told apart here is whose turn it is."""

    def note(self, tombstones: Sequence[Tombstone]) -> None:
        pass

    def drop(self, request_id: RequestId) -> None:
        pass

    def request_ids(self) -> set[RequestId]:
        return set()

    def tombstones(self, request_ids: Collection[RequestId]) -> list[Tombstone]:
        return []


class SilentQueue:
    """A doorbell that nobody hears: the row alone must do."""

    def ring(self, request_id: RequestId) -> None:
        pass


@dataclass
class Worker:
    """What a worker knows: its claim, and what it writes next."""

    request: int
    claim: Claim
    writes: Iterator[None] = field(repr=False)


class ErasureMachine(RuleBasedStateMachine):
    """Workers, requests and a clock; every action is done in SQL and in the pure rules."""

    uows: SqlUnitsOfWork

    def __init__(self) -> None:
        super().__init__()
        self.clock = SetClock()
        self.operations = OperationsService(
            uows=self.uows, queue=SilentQueue(), ledger=NoLedger(), clock=self.clock
        )
        serial = next(_SERIAL)
        names = [f"{serial}/{n}" for n in range(N_REQUESTS)]
        self.ids = [request_id(name) for name in names]
        self.rows = [Row(len(WRITES)) for _ in names]
        self.workers: list[Worker | None] = [None] * N_WORKERS
        self.completed: dict[RequestId, ErasureRequest] = {}
        with self.uows.write() as uow:
            for name in names:
                uow.requests.add(new_request(name, who=name))

    @precondition(lambda machine: None in machine.workers)
    @rule(worker=st.integers(0, N_WORKERS - 1), n=st.integers(0, N_REQUESTS - 1))
    def claim(self, worker: int, n: int) -> None:
        if self.workers[worker] is not None:
            return
        expected = self.rows[n].claimed()
        now = self.clock.now()
        with self.uows.write() as uow:
            found = uow.requests.claimable(now=now, limit=10_000)
            claim = uow.requests.claim(
                self.ids[n], owner=str(worker), now=now, lease_until=now + LEASE_TICKS * TICK
            )
        assert (claim is None) == (expected is None)
        assert (self.ids[n] in found) == (expected is not None)
        if claim is not None and expected is not None:
            assert claim.fence == expected.fence
            self.rows[n] = expected
            self.workers[worker] = Worker(n, claim, self._writes(claim))

    def _writes(self, claim: Claim) -> Iterator[None]:
        run = ErasureRun(uows=self.uows, clock=self.clock, claim=claim, check=lambda: None)
        for write in WRITES:
            if isinstance(write, Step):
                run.step(write, "store", lambda: 1)
            elif write is RequestState.COMPLETED:
                self._complete(run, claim)
            else:
                run.enter(write)
            yield

    def _complete(self, run: ErasureRun, claim: Claim) -> None:
        """Close the request as the service does, but for its certificate."""
        at = self.clock.now()
        with self.uows.write() as uow:
            request = run.require_fence(uow)
            move(uow, request, RequestState.COMPLETED, at=at, fence=claim.fence, facts={})
            assert uow.requests.clear_subject(request.request_id, fence=claim.fence)

    @precondition(lambda machine: any(machine.workers))
    @rule(worker=st.integers(0, N_WORKERS - 1))
    def work(self, worker: int) -> None:
        """Let a worker go on to its next write, past what earlier attempts did."""
        at_work = self.workers[worker]
        if at_work is None:
            return
        row = self.rows[at_work.request]
        expected = row.written(fence=at_work.claim.fence)
        before = self._progress(at_work.request)
        try:
            while self._progress(at_work.request) == before:
                next(at_work.writes)
        except LeaseLostError:
            assert expected is None
            assert self._progress(at_work.request) == before
            self.workers[worker] = None
            return
        assert expected is not None
        self.rows[at_work.request] = expected
        if expected.state is State.DONE:
            self.workers[worker] = None

    def _progress(self, n: int) -> tuple[RequestState, int]:
        with self.uows.read() as uow:
            return self._get(n).state, len(uow.requests.steps(self.ids[n]))

    @precondition(lambda machine: any(machine.workers))
    @rule(worker=st.integers(0, N_WORKERS - 1))
    def beat(self, worker: int) -> None:
        at_work = self.workers[worker]
        if at_work is None:
            return
        expected = self.rows[at_work.request].beaten(fence=at_work.claim.fence)
        lease_until = self.clock.now() + LEASE_TICKS * TICK
        with self.uows.write() as uow:
            held = uow.requests.heartbeat(
                self.ids[at_work.request], fence=at_work.claim.fence, lease_until=lease_until
            )
        assert held == (expected is not None)
        self.rows[at_work.request] = expected or self.rows[at_work.request]

    @precondition(lambda machine: any(machine.workers))
    @rule(worker=st.integers(0, N_WORKERS - 1), how=st.sampled_from(["off", "failed", "dead"]))
    def stop(self, worker: int, how: str) -> None:
        """Let a worker put its request off, give it up, or die."""
        at_work = self.workers[worker]
        if at_work is None:
            return
        self.workers[worker] = None
        if how == "dead":
            return
        row, fence = self.rows[at_work.request], at_work.claim.fence
        expected = row.failed(fence=fence) if how == "failed" else row.put_off(fence=fence)
        stop = self._give_up if how == "failed" else self._put_off
        assert stop(at_work.request, fence) == (expected is not None)
        self.rows[at_work.request] = expected or row

    def _put_off(self, n: int, fence: int) -> bool:
        not_before = self.clock.now() + BACKOFF_TICKS * TICK
        with self.uows.write() as uow:
            return uow.requests.postpone(self.ids[n], fence=fence, not_before=not_before)

    def _give_up(self, n: int, fence: int) -> bool:
        request = self._get(n)
        if request.fence != fence:
            return False
        with self.uows.write() as uow:
            at = self.clock.now()
            move(uow, request, RequestState.FAILED, at=at, fence=fence, facts={})
        return True

    @rule(ticks=st.integers(1, LEASE_TICKS))
    def tick(self, ticks: int) -> None:
        for _ in range(ticks):
            self.clock.at += TICK
            self.rows = [row.tick() for row in self.rows]

    @rule(n=st.integers(0, N_REQUESTS - 1))
    def retry(self, n: int) -> None:
        retried = self.rows[n].retried()
        if retried is not None:
            self.operations.retry(self.ids[n])
            self.rows[n] = retried

    def _get(self, n: int) -> ErasureRequest:
        with self.uows.read() as uow:
            found = uow.requests.get(self.ids[n])
        assert found is not None
        return found

    @invariant()
    def sql_says_what_the_rules_say(self) -> None:
        """Checked with it: a completed request never moves again, in any column."""
        for n, row in enumerate(self.rows):
            found = self._get(n)
            assert (found.fence, found.attempts) == (row.fence, row.attempts)
            assert (found.state is RequestState.COMPLETED) == (row.state is State.DONE)
            assert (found.state is RequestState.FAILED) == (row.state is State.FAILED)
            if row.state is State.DONE:
                assert self.completed.setdefault(self.ids[n], found) == found
                assert found.pseudonym is None

    def teardown(self) -> None:
        """Crashes stop: every request completes, and is told of once."""
        self.workers = [None] * N_WORKERS
        for n in range(N_REQUESTS):
            self.retry(n)
            self.tick(LEASE_TICKS + BACKOFF_TICKS)
            self.claim(0, n)
            while self.workers[0] is not None:
                self.work(0)
            assert self.rows[n].state is State.DONE
            with self.uows.read() as uow:
                leaves = uow.audit.page(
                    after=-1, limit=9, kind=LeafKind.FORGET_COMPLETED, request_id=self.ids[n]
                )
            assert len(leaves) == 1


@pytest.fixture(scope="module")
def uows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlUnitsOfWork]:
    url = f"sqlite:///{tmp_path_factory.mktemp('machine')}/lethe.db"
    schema.upgrade(url)
    opened = SqlUnitsOfWork(open_engine(url))
    yield opened
    opened.close()


@pytest.mark.timeout(900)
def test_sql_keeps_the_rules_in_every_order_of_events(uows: SqlUnitsOfWork) -> None:
    ErasureMachine.uows = uows

    run_state_machine_as_test(
        ErasureMachine,
        settings=settings(
            max_examples=100,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
