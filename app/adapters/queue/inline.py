"""Background threads of one process: periodic tasks, and the queue of the embedded mode."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import structlog

from app.domain.models import RequestId

_log = structlog.get_logger(__name__)


class PeriodicTask:
    """Calls ``action`` every ``interval_s`` seconds, and at once when woken.

    Args:
        name: of the thread and in the log.
        action: may raise; the loop logs it and goes on.
        interval_s: seconds between the end of one call and the start of the next.
    """

    def __init__(self, name: str, action: Callable[[], object], *, interval_s: float) -> None:
        self._name = name
        self._action = action
        self._interval_s = interval_s
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Call the action at once instead of at the end of the interval."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread after the present call."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self._action()
            except Exception as error:  # noqa: BLE001 - an edge: nobody above could go on
                _log.warning("loop_failed", loop=self._name, error=type(error).__name__)
            self._wake.wait(self._interval_s)


class InlineQueue:
    """The job queue of the embedded mode: one thread of this process handles the request ids.

    Ids that wait when the process dies are lost; the sweeper finds their requests again.
    """

    def __init__(self) -> None:
        self._ids: queue.SimpleQueue[RequestId | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def ring(self, request_id: RequestId) -> None:
        self._ids.put(request_id)

    def start(self, handle: Callable[[RequestId], object]) -> None:
        """Start the thread, which calls ``handle`` with every id."""
        self._thread = threading.Thread(
            target=self._run, args=(handle,), name="erasure-queue", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the present request; the sweeper takes those that still wait."""
        if self._thread is not None:
            self._ids.put(None)
            self._thread.join()

    def _run(self, handle: Callable[[RequestId], object]) -> None:
        while (request_id := self._ids.get()) is not None:
            try:
                handle(request_id)
            except Exception as error:  # noqa: BLE001 - an edge: the sweeper takes over
                _log.warning("erasure_crashed", error=type(error).__name__, exc_info=error)
