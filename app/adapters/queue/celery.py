"""Celery on Redis: its configuration, and the job queue over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from celery import Celery
from kombu.exceptions import OperationalError

from app.domain.erasure.request import share_of
from app.domain.errors import DependencyUnavailableError
from app.domain.models import RequestId
from app.ports.clock import Clock

FORGET_RUN: Final = "forget.run"
SWEEP_RUN: Final = "sweep.run"
SENT_S: Final = "lethe_sent_s"
"""The header with the time at which a message was sent, in seconds since 1970."""
TIME_LIMIT_S: Final = 600
VISIBILITY_TIMEOUT_S: Final = 900
"""Seconds until Redis delivers an unacknowledged message again; above every time limit, else a
task that is still running would be started a second time."""
_RESTORE_INTERVAL_S: Final = 5
WORKER_ANSWER_S: Final = 10.0
"""Seconds that a worker waits for an answer of the broker; above those of one of its looks."""
RING_S: Final = 0.75
"""Seconds that one answer of the broker is waited for by whoever rings; it takes two. What was not
rung the sweeper rings again."""


def queue_of(node: str) -> str:
    """Return the queue of the tasks that touch a node's files; its workers read no other."""
    return f"node.{node}"


class _Dated(Celery):  # type: ignore[misc] # Celery has no types
    """Writes into each message when it was sent, for the age of the queue."""

    clock_of_messages: Clock
    """Not `clock`, which is Celery's own."""

    def send_task(self, *args: object, **kwargs: object) -> object:
        """Send a task; see Celery."""
        given: Any = kwargs.get("headers") or {}
        kwargs["headers"] = {**given, SENT_S: self.clock_of_messages.now().timestamp()}
        return super().send_task(*args, **kwargs)


def make_celery(
    broker_url: str, *, sweep_s: float, node: str, answer_s: float, clock: Clock
) -> Celery:
    """Return the application that producers and workers share.

    Args:
        broker_url: Redis.
        sweep_s: seconds between two sweeps that beat asks for.
        node: the machine that holds the vector store's files. All tasks touch them.
        answer_s: seconds that an answer of the broker is waited for.
        clock: dates the messages.
    """
    app = _Dated("lethe", broker=broker_url, set_as_current=False)
    app.clock_of_messages = clock
    app.conf.update(
        accept_content=["json"],
        beat_schedule={"sweep": {"task": SWEEP_RUN, "schedule": sweep_s}},
        broker_connection_retry_on_startup=True,
        broker_transport_options=_transport(answer_s),
        result_backend=None,
        task_acks_late=True,
        task_default_queue=queue_of(node),
        task_ignore_result=True,
        task_publish_retry=False,
        task_reject_on_worker_lost=True,
        task_serializer="json",
        task_soft_time_limit=TIME_LIMIT_S - 60,
        task_time_limit=TIME_LIMIT_S,
        timezone="UTC",
        visibility_timeout=VISIBILITY_TIMEOUT_S,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_soft_shutdown_timeout=20.0,
    )
    return app


def _transport(answer_s: float) -> dict[str, object]:
    return {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        # Redis is asked for lost messages every 5 s, not every 100 (kombu's defaults).
        "unacked_restore_interval": _RESTORE_INTERVAL_S,
        "unacked_restore_throttle": 1,
        "socket_timeout": answer_s,
        "socket_connect_timeout": min(5.0, answer_s),
        "health_check_interval": 10,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 0.5,
    }


class CeleryQueue:
    """Sends a task to a worker. The message holds the request id and nothing else.

    Args:
        app: of ``make_celery``.
        nodes: whose workers share the requests; any of them can do any.
    """

    def __init__(self, app: Celery, *, nodes: Sequence[str]) -> None:
        self._app = app
        self._queues = [queue_of(node) for node in nodes]

    def ring(self, request_id: RequestId) -> None:
        queue = self._queues[share_of(request_id, n=len(self._queues))]
        try:
            self._app.send_task(FORGET_RUN, args=[request_id], retry=False, queue=queue)
        except OperationalError as exc:
            raise DependencyUnavailableError("the broker does not answer") from exc
