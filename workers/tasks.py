"""The tasks: ids in, one service call."""

from __future__ import annotations

from typing import Any

from celery import Celery, signals

from app import tracing
from app.adapters.queue.celery import FORGET_RUN, SWEEP_RUN
from app.bootstrap import Runtime, build
from app.bootstrap.background import NEVER_S
from app.domain.models import RequestId
from app.settings import Settings


class _Lazy:
    """Builds the service in the worker's child process: connections must not cross a fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runtime: Runtime | None = None

    def get(self) -> Runtime:
        if self._runtime is None:
            if self._settings.log.traces is not None:
                tracing.send_traces(self._settings.log.traces, role="worker")
            self._runtime = build(self._settings, is_worker=True)
            container = self._runtime.container
            container.audit.note_start(container.about, role="worker")
        return self._runtime

    def close(self, **_: Any) -> None:  # noqa: ANN401 - what Celery's signal sends
        if self._runtime is not None:
            self._runtime.close()


def register(app: Celery, settings: Settings) -> None:
    """Add the tasks to ``app``."""
    lazy = _Lazy(settings)
    signals.worker_process_shutdown.connect(lazy.close, weak=False)

    @app.task(name=FORGET_RUN)  # type: ignore[untyped-decorator] # Celery has no types
    def forget_run(request_id: str) -> None:
        container = lazy.get().container
        with tracing.span(FORGET_RUN, facts={"lethe.erasure": request_id}):
            container.erase.execute(RequestId(request_id))

    @app.task(name=SWEEP_RUN)  # type: ignore[untyped-decorator] # Celery has no types
    def sweep_run() -> None:
        container = lazy.get().container
        container.sweep.note_worker()
        container.sweep.sweep(take_over_after_s=NEVER_S)  # this worker lives: it rings
        container.feed.prune()
        container.restore.check()
        container.removal.finish()
        container.rechecks.run_due()
        container.webhooks.deliver()
        container.retention.run()
