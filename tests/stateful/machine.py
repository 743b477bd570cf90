"""The real repository on SQLite, step by step against the pure rules, with crashes and sleep."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.audit.entries import LeafKind
from app.domain.erasure.request import ErasureRequest, Ground, RequestState, Step
from app.domain.errors import IllegalMoveError
from app.domain.models import RequestId
from app.domain.privacy.pseudonyms import Identity
from app.services.administration.erasure_requests import ErasureRequestAdmin
from app.services.erasure.journal import ErasureJournal
from app.services.erasure.transitions import LeaseLostError, transition
from tests.contract.persistence.sql_rows import new_request, request_id
from tests.stateful.doubles import NoLedger, SetClock, SilentQueue
from tests.stateful.leases import BACKOFF_TICKS, LEASE_TICKS, Row, Write

TICK: Final = timedelta(seconds=10)
N_WORKERS: Final = 2
N_REQUESTS: Final = 1
WRITES: Final = (
    RequestState.ERASING,
    *(Step.DRAIN, Step.MEMORY, Step.ROWS),
    RequestState.SCRUBBED,
    RequestState.VERIFYING,
    Step.PROBE,
    RequestState.COMPLETED,
)
"""What a worker writes, in this order; fewer steps than in the service, the same machinery."""
PLAN: Final[tuple[Write, ...]] = tuple(
    "step" if isinstance(write, Step) else write for write in WRITES
)
IDENTITY: Final = Identity(b"p" * 32)
_SERIAL: Final = itertools.count()


@dataclass
class Worker:
    """What a worker knows: its fence, and what it writes next."""

    request: int
    fence: int
    run: ErasureJournal = field(repr=False)
    writes: Iterator[None] = field(repr=False)


class ErasureMachine(RuleBasedStateMachine):
    """Workers, requests and a clock; every action is done in SQL and in the pure rules."""

    uows: SqlUnitsOfWork

    def __init__(self) -> None:
        super().__init__()
        self.clock = SetClock()
        self.operations = ErasureRequestAdmin(
            uows=self.uows,
            queue=SilentQueue(),
            ledger=NoLedger(),
            identity=IDENTITY,
            clock=self.clock,
        )
        serial = next(_SERIAL)
        names = [f"{serial}/{n}" for n in range(N_REQUESTS)]
        self.ids = [request_id(name) for name in names]
        self.rows = [Row(PLAN) for _ in names]
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
            run = ErasureJournal(
                uows=self.uows, clock=self.clock, request=claim, check=lambda: None
            )
            self.workers[worker] = Worker(n, claim.fence, run, self._writes(run))

    def _writes(self, run: ErasureJournal) -> Iterator[None]:
        for write in WRITES:
            if isinstance(write, Step):
                run.step(write, "store", lambda: 1, is_repeated=write is Step.PROBE)
            elif write is RequestState.COMPLETED:
                self._complete(run)
            else:
                run.enter((write,))
            yield

    def _complete(self, run: ErasureJournal) -> None:
        """Close the request as the service does, but for its certificate."""
        at = self.clock.now()
        with self.uows.write() as uow:
            run.transition(uow, RequestState.COMPLETED, at=at, facts={})
            fence = run.request.fence
            assert uow.requests.clear_subject(run.request.request_id, fence=fence)

    @precondition(lambda machine: any(machine.workers))
    @rule(worker=st.integers(0, N_WORKERS - 1))
    def work(self, worker: int) -> None:
        """Let a worker go on to its next write, past what earlier attempts did."""
        at_work = self.workers[worker]
        if at_work is None:
            return
        row = self.rows[at_work.request]
        expected = row.written(fence=at_work.fence)
        before = self._progress(at_work.request)
        try:
            while self._progress(at_work.request) == before:
                next(at_work.writes)
        except (LeaseLostError, IllegalMoveError):
            assert expected is None
            assert self._progress(at_work.request) == before
            self.workers[worker] = None
            return
        assert expected is not None
        self.rows[at_work.request] = expected
        if expected.state is RequestState.COMPLETED:
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
        expected = self.rows[at_work.request].beaten(fence=at_work.fence)
        lease_until = self.clock.now() + LEASE_TICKS * TICK
        with self.uows.write() as uow:
            held = uow.requests.heartbeat(
                self.ids[at_work.request], fence=at_work.fence, lease_until=lease_until
            )
        assert held == (expected is not None)
        self.rows[at_work.request] = expected or self.rows[at_work.request]

    @precondition(lambda machine: any(machine.workers))
    @rule(
        worker=st.integers(0, N_WORKERS - 1),
        how=st.sampled_from(["released", "put_off", "failed", "dead"]),
    )
    def stop(self, worker: int, how: str) -> None:
        """Let a worker give its request back, put it off, give it up, or die."""
        at_work = self.workers[worker]
        if at_work is None:
            return
        self.workers[worker] = None
        if how == "dead":
            return
        row, fence = self.rows[at_work.request], at_work.fence
        stop, expected = {
            "released": (self._release, row.released(fence=fence)),
            "put_off": (self._put_off, row.put_off(fence=fence)),
            "failed": (self._give_up, row.failed(fence=fence)),
        }[how]
        assert stop(at_work.request, fence) == (expected is not None)
        self.rows[at_work.request] = expected or row

    @precondition(lambda machine: any(machine.workers))
    @rule(worker=st.integers(0, N_WORKERS - 1))
    def find_residue(self, worker: int) -> None:
        """Let a worker send its work back to the scrub, and die."""
        at_work = self.workers[worker]
        if at_work is None:
            return
        row = self.rows[at_work.request]
        if row.fence == at_work.fence and row.state is not RequestState.VERIFYING:
            return  # the service searches while it verifies, and at no other time
        self.workers[worker] = None
        expected = row.started_over(fence=at_work.fence)
        assert _is_done(at_work.run.start_over) == (expected is not None)
        self.rows[at_work.request] = expected or row

    def _release(self, n: int, fence: int) -> bool:
        with self.uows.write() as uow:
            return uow.requests.release(self.ids[n], fence=fence)

    def _put_off(self, n: int, fence: int) -> bool:
        not_before = self.clock.now() + BACKOFF_TICKS * TICK
        with self.uows.write() as uow:
            return uow.requests.postpone(self.ids[n], fence=fence, not_before=not_before)

    def _give_up(self, n: int, fence: int) -> bool:
        request = self._get(n)
        at = self.clock.now()

        def give_up() -> None:
            with self.uows.write() as uow:
                transition(uow, request, RequestState.FAILED, at=at, fence=fence, facts={})

        return _is_done(give_up)

    @rule(ticks=st.integers(1, LEASE_TICKS))
    def tick(self, ticks: int) -> None:
        for _ in range(ticks):
            self.clock.at += TICK
            self.rows = [row.ticked() for row in self.rows]

    @rule(n=st.integers(0, N_REQUESTS - 1))
    def retry(self, n: int) -> None:
        expected = self.rows[n].retried()
        assert _is_done(partial(self.operations.retry, self.ids[n])) == (expected is not None)
        self.rows[n] = expected or self.rows[n]

    @rule(n=st.integers(0, N_REQUESTS - 1), action=st.sampled_from(["hold", "release", "reject"]))
    def administer(self, n: int, action: str) -> None:
        row, request_id = self.rows[n], self.ids[n]
        act, expected = {
            "hold": (partial(self.operations.hold, request_id), row.held()),
            "release": (partial(self.operations.release, request_id), row.let_go()),
            "reject": (
                partial(self.operations.reject, request_id, ground=Ground.UNFOUNDED),
                row.rejected(),
            ),
        }[action]
        assert _is_done(act) == (expected is not None)
        self.rows[n] = expected or row

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
            assert self._progress(n) == (row.state, row.n_steps)
            if row.state is RequestState.COMPLETED:
                assert self.completed.setdefault(self.ids[n], found) == found
                assert found.pseudonym is None

    def teardown(self) -> None:
        """Crashes stop: every request completes unless it was rejected, and is told of once."""
        self.workers = [None] * N_WORKERS
        for n in range(N_REQUESTS):
            if self.rows[n].state is RequestState.REJECTED:
                continue
            self.retry(n)
            self.administer(n, "release")
            self.tick(LEASE_TICKS + BACKOFF_TICKS)
            self.claim(0, n)
            while self.workers[0] is not None:
                self.work(0)
            assert self.rows[n].state is RequestState.COMPLETED
            with self.uows.read() as uow:
                leaves = uow.audit.page(
                    after=-1, limit=9, kind=LeafKind.FORGET_COMPLETED, request_id=self.ids[n]
                )
            assert len(leaves) == 1


def _is_done(act: Callable[[], object]) -> bool:
    """Return whether ``act`` did its work; False where the table or another worker forbids it."""
    try:
        act()
    except (LeaseLostError, IllegalMoveError):
        return False
    return True
