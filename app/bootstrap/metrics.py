"""Metrics read from the stores: erasures that wait, residue, shards, answers to lists."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import redis
import structlog

from app import tracing
from app.adapters.chroma.layout import parse_name
from app.adapters.chroma.maintenance_process import IndexFill, last_fill
from app.adapters.db.uow import SqlUnitsOfWork
from app.adapters.queue.celery import SENT_S
from app.domain.erasure.request import RequestState
from app.domain.errors import DependencyUnavailableError, IntegrityError
from app.observability import Metrics
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.services.erasure.journal import OnPoint
from app.services.recommendation.neighbour_sync import NeighbourSync

_log = structlog.get_logger(__name__)


def watch_erasure(metrics: Metrics, uows: UnitsOfWork, *, directory: Path | None) -> None:
    """Show how erasures stand; of shards only where ``directory`` can be reached."""
    metrics.watch(
        "lethe_erasures_waiting",
        "Unfinished erasure requests by the code that their last attempt ended with.",
        label="code",
        read=_from_sql(uows, lambda uow: uow.requests.waiting_by_code()),
    )
    metrics.watch(
        "lethe_residue",
        "Alarm: open requests whose search is red, and later looks that were (a total).",
        label="kind",
        read=_from_sql(uows, _residue),
    )
    shards: dict[str, tuple[str, Callable[[IndexFill], int]]] = {
        "dead_slots": ("Slots of erased memories in a shard's index.", lambda one: one.dead),
        "records": ("Live records of a shard.", lambda one: one.live),
        "bytes": ("Bytes of a shard's index files.", lambda one: one.n_bytes),
    }
    for name, (documentation, number) in shards.items():
        metrics.watch(
            f"lethe_shard_{name}",
            f"{documentation} As of the last maintenance.",
            label="shard",
            read=_by_shard(directory, number),
        )


def watch_answers(metrics: Metrics, uows: UnitsOfWork) -> None:
    """Show how many lists were answered, as counted from the rows that are there now."""
    metrics.watch(
        "lethe_lists_answered",
        "Lists that interactions answer, by scenario or - and variant. Falls by erasure.",
        label="list",
        read=_from_sql(uows, _answers),
    )


def _answers(uow: UnitOfWork) -> Mapping[str, int]:
    return {f"{one.scenario or '-'}/{one.variant}": one.lists for one in uow.interactions.answers()}


def watch_process(metrics: Metrics, uows: SqlUnitsOfWork, *, feed: NeighbourSync) -> None:
    """Show a process's connections to the database, and how often it made its state anew."""

    def connections() -> Mapping[str, float]:
        try:
            return uows.connections()
        except DependencyUnavailableError as error:
            _log.warning("metrics_incomplete", code=error.code)
            return {}

    metrics.watch(
        "lethe_database_connections",
        "Connections of this process in use, most it may open, most that the server takes of all.",
        label="of",
        read=connections,
    )
    metrics.watch(
        "lethe_neighbours",
        "How often this process built the counts from the rows, and refreshed what rests on them.",
        label="work",
        read=feed.work.read,
        is_counter=True,
    )


def watch_requests(metrics: Metrics, uows: UnitsOfWork, *, clock: Clock) -> None:
    """Show how many requests there are, and how late they are."""

    def ages(uow: UnitOfWork) -> Mapping[str, float]:
        now, oldest = clock.now(), uow.requests.oldest_open()
        newest = uow.requests.page(state=RequestState.COMPLETED, before=None, limit=1)
        completed = newest[0].updated_at if newest else None
        seen = {"oldest_open": oldest, "newest_completed": completed}
        return {name: (now - at).total_seconds() for name, at in seen.items() if at is not None}

    metrics.watch(
        "lethe_erasure_requests",
        "Erasure requests by state.",
        label="state",
        read=_from_sql(
            uows, lambda uow: {str(state): n for state, n in uow.requests.count_by_state().items()}
        ),
    )
    metrics.watch(
        "lethe_erasure_age_seconds",
        "Seconds since the oldest open request arrived, and since the newest one was completed.",
        label="of",
        read=_from_sql(uows, ages),
    )
    metrics.watch(
        "lethe_erasures_overdue",
        "Open requests whose due date has passed.",
        label="of",
        read=_from_sql(uows, lambda uow: {"open": uow.requests.n_overdue(now=clock.now())}),
    )


def watch_queue(metrics: Metrics, client: redis.Redis, *, queue: str, clock: Clock) -> None:
    """Show how many messages wait for the workers of a node, and since when the oldest does."""
    untyped: Any = client  # redis-py's annotations mix synchronous and asynchronous answers

    def asked(ask: Callable[[], float]) -> Callable[[], Mapping[str, float]]:
        def read() -> Mapping[str, float]:
            try:
                return {queue: ask()}
            except redis.RedisError as error:
                _log.warning("metrics_incomplete", error=type(error).__name__)
                return {}

        return read

    def age_s() -> float:
        oldest = untyped.lindex(queue, -1)
        sent_s = None if oldest is None else json.loads(oldest)["headers"].get(SENT_S)
        return 0.0 if sent_s is None else max(0.0, clock.now().timestamp() - sent_s)

    metrics.watch(
        "lethe_queue_messages",
        "Messages in a queue.",
        label="queue",
        read=asked(lambda: float(untyped.llen(queue))),
    )
    metrics.watch(
        "lethe_queue_age_seconds",
        "Seconds since the oldest message of a queue was sent, 0 without one.",
        label="queue",
        read=asked(age_s),
    )


def timing(metrics: Metrics, clock: Clock, *, then: OnPoint) -> OnPoint:
    """Return what an erasure calls at each point: its steps are timed, then ``then`` is called."""
    begun = threading.local()

    def note(point: str, attempt: int, /) -> None:
        step, _, place = point.partition(":")
        now_s = clock.monotonic_s()
        if place == "done":
            seconds = now_s - getattr(begun, "at_s", now_s)
            metrics.erasure_step(step, seconds=seconds)
            tracing.passed(f"erase {step}", seconds=seconds, until=clock.now())
        begun.at_s = now_s
        then(point, attempt)

    return note


def _from_sql(
    uows: UnitsOfWork, read: Callable[[UnitOfWork], Mapping[str, float]]
) -> Callable[[], Mapping[str, float]]:
    def ask() -> Mapping[str, float]:
        try:
            with uows.read() as uow:
                return read(uow)
        except DependencyUnavailableError as error:
            _log.warning("metrics_incomplete", code=error.code)
            return {}

    return ask


def _residue(uow: UnitOfWork) -> Mapping[str, int]:
    waiting = uow.requests.waiting_by_code()
    return {"open": waiting.get(IntegrityError.code, 0), "returned": uow.rechecks.n_returned()}


def _by_shard(
    directory: Path | None, number: Callable[[IndexFill], int]
) -> Callable[[], Mapping[str, float]]:
    def read() -> Mapping[str, float]:
        numbers: Counter[str] = Counter()
        for one in last_fill(directory):
            parsed = parse_name(one.collection)
            if parsed is not None:
                numbers[parsed[0]] += number(one)
        return numbers

    return read
