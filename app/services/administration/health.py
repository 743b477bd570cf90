"""Reports whether the service is ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from app.domain.errors import (
    DependencyUnavailableError,
    RestoreInProgressError,
    StoreDamagedError,
)
from app.ports.clock import Clock
from app.ports.memory_store import MemoryStore, StoreHealth
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.ports.ranker import Ranker
from app.services.audit.continuity import Standing
from app.services.audit.succession import SuccessionService
from app.services.erasure.restore_guard import RestoreService
from app.services.recommendation.reading_check import Reading, ReadingCheck


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
    """Answers ``GET /readyz``.

    Args:
        workers_silent_after_s: seconds without a task; None where there are no workers.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        memory: MemoryStore,
        ranker: Ranker | None,
        reading: ReadingCheck,
        restore: RestoreService,
        succession: SuccessionService,
        clock: Clock,
        workers_silent_after_s: float | None,
    ) -> None:
        self._workers_silent_after_s = workers_silent_after_s
        self._uows = uows
        self._memory = memory
        self._ranker = ranker
        self._reading = reading
        self._restore = restore
        self._succession = succession
        self._clock = clock

    def readiness(self) -> Readiness:
        """Check every dependency once."""
        return Readiness(
            {
                "database": self._check(self._uows.ping),
                "memory": self._memories(),
                "llm": self._llm(),
                "workers": self._workers(),
                "restore": self._gate(),
                "log": self._log(),
            }
        )

    def _check(self, ask: Callable[[], object]) -> Dependency:
        started_s = self._clock.monotonic_s()
        try:
            ask()
            status = "ready"
        except DependencyUnavailableError as error:
            status = error.code
        latency_ms = round(1_000 * (self._clock.monotonic_s() - started_s), 3)
        return Dependency(
            status, is_well=status == "ready", is_required=True, latency_ms=latency_ms
        )

    def _memories(self) -> Dependency:
        """Report on the vector store; where a part of it is damaged, the rest still serves."""
        found: list[StoreHealth] = []
        checked = self._check(lambda: found.append(self._memory.health()))
        if not any(health.is_damaged for health in found):
            return checked
        return replace(checked, status=StoreDamagedError.code, is_well=False, is_required=False)

    def _llm(self) -> Dependency:
        if self._ranker is None:
            return Dependency("absent", is_well=True, is_required=False, latency_ms=0.0)
        health = self._ranker.health()
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
