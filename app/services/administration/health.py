"""Reports whether the service is ready."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from app.domain.errors import (
    DependencyUnavailableError,
    RestoreInProgressError,
    StoreDamagedError,
)
from app.ports.clock import Clock
from app.ports.memory_store import MemoryStore, StoreHealth
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.audit.continuity import Standing
from app.services.audit.succession import SuccessionService
from app.services.erasure.restore_guard import RestoreService
from app.services.recommendation.reading_check import Reading, ReadingCheck

LOOK_S: Final = 2.0
"""Seconds between two looks at a dependency."""
STALE_S: Final = 10.0
"""Seconds after which a look that has not come back counts as an outage."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """One dependency.

    Args:
        is_required: without it the service is not ready; without the others it degrades.
        latency_ms: of the check, milliseconds.
        breakers: servers behind it by the state of their circuit breaker; empty without any.
        reading: whether a language model has shown that it reads; None of anything else.
        ranks_queries: whether it can rank by a query; likewise.
    """

    status: str
    is_well: bool
    is_required: bool
    latency_ms: float
    breakers: Mapping[str, int] = field(default_factory=dict)
    reading: Reading | None = None
    ranks_queries: bool | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Every dependency by name."""

    dependencies: Mapping[str, Dependency]

    @property
    def is_ready(self) -> bool:
        """Whether everything that is required is well."""
        return all(one.is_well for one in self.dependencies.values() if one.is_required)


class HealthService:
    """Answers ``GET /readyz`` from the last look at each dependency.

    Args:
        stores: by name, what raises DependencyUnavailableError where a store does not answer.
        workers_silent_after_s: seconds without a task; None where there are no workers.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        memory: MemoryStore,
        stores: Mapping[str, Callable[[], object]],
        reading: ReadingCheck,
        restore: RestoreService,
        succession: SuccessionService,
        clock: Clock,
        workers_silent_after_s: float | None,
    ) -> None:
        self._workers_silent_after_s = workers_silent_after_s
        self._uows = uows
        self._memory = memory
        self._reading = reading
        self._restore = restore
        self._succession = succession
        self._clock = clock
        self._seen: dict[str, tuple[Dependency, float]] = {}
        self._checks: dict[str, Callable[[], Dependency]] = {
            "database": lambda: self._check(uows.ping, is_required=True),
            "memory": self._memories,
            **{name: partial(self._check, ask, is_required=False) for name, ask in stores.items()},
            "workers": self._workers,
            "log": self._log,
        }

    @property
    def looked_at(self) -> Collection[str]:
        """The dependencies that cost a call; each is to be looked at by itself, over and over."""
        return self._checks.keys()

    def look(self, name: str) -> None:
        """Look at one dependency now, and keep what was seen."""
        self._seen[name] = self._checks[name](), self._clock.monotonic_s()

    def readiness(self) -> Readiness:
        """Return what was last seen of each; what nobody looks at in turn is looked at now."""
        seen = {name: self._last(name) for name in self._checks}
        return Readiness({**seen, "llm": self._llm(), "restore": self._gate()})

    def _last(self, name: str) -> Dependency:
        if name not in self._seen:
            return self._checks[name]()
        last, at_s = self._seen[name]
        if self._clock.monotonic_s() - at_s <= STALE_S:
            return last
        # The look itself hangs: nobody who asks here is to hang with it.
        return replace(last, status=DependencyUnavailableError.code, is_well=False)

    def _check(self, ask: Callable[[], object], *, is_required: bool) -> Dependency:
        started_s = self._clock.monotonic_s()
        try:
            ask()
            status = "ready"
        except DependencyUnavailableError as error:
            status = error.code
        latency_ms = round(1_000 * (self._clock.monotonic_s() - started_s), 3)
        return Dependency(
            status, is_well=status == "ready", is_required=is_required, latency_ms=latency_ms
        )

    def _memories(self) -> Dependency:
        """Report on the vector store: without it lists rest on what users did."""
        found: list[StoreHealth] = []
        checked = self._check(lambda: found.append(self._memory.health()), is_required=False)
        if not any(health.is_damaged for health in found):
            return checked
        return replace(checked, status=StoreDamagedError.code, is_well=False)

    def _llm(self) -> Dependency:
        if self._reading.ranker is None:
            return Dependency("absent", is_well=True, is_required=False, latency_ms=0.0)
        health = self._reading.ranker.health()
        return Dependency(
            health.status,
            is_well=health.status == "ready",
            is_required=False,
            latency_ms=0.0,
            breakers=health.servers,
            reading=self._reading.reading,
            ranks_queries=health.ranks_queries,
        )

    def _gate(self) -> Dependency:
        status = "ready" if self._restore.is_open else RestoreInProgressError.code
        is_open = self._restore.is_open
        return Dependency(status, is_well=is_open, is_required=True, latency_ms=0.0)

    def _log(self) -> Dependency:
        """Report whether the audit log is the one that was signed last."""
        started_s = self._clock.monotonic_s()
        status = self._succession.status()
        return Dependency(
            status,
            is_well=status == Standing.CONTINUED,
            is_required=status in {Standing.BEHIND, Standing.COPIED, Standing.FORKED},
            latency_ms=round(1_000 * (self._clock.monotonic_s() - started_s), 3),
        )

    def _workers(self) -> Dependency:
        """Report whether a queued task has reached a worker lately.

        Without workers erasures still complete: this process takes them over.
        """
        if self._workers_silent_after_s is None:
            return Dependency("absent", is_well=True, is_required=False, latency_ms=0.0)
        started_s = self._clock.monotonic_s()
        try:
            status = "ready" if self.are_workers_alive() else "silent"
        except DependencyUnavailableError as error:
            status = error.code
        latency_ms = round(1_000 * (self._clock.monotonic_s() - started_s), 3)
        is_well = status == "ready"
        return Dependency(status, is_well=is_well, is_required=False, latency_ms=latency_ms)

    def are_workers_alive(self) -> bool:
        """Whether a worker did a task within the time that is allowed; False without workers.

        Raises:
            DependencyUnavailableError: the database does not answer.
        """
        with self._uows.read() as uow:
            seen_at = uow.processes.worker_seen_at()
        if seen_at is None or self._workers_silent_after_s is None:
            return False
        return (self._clock.now() - seen_at).total_seconds() <= self._workers_silent_after_s
