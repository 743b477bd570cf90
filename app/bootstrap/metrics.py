"""Metrics read from the stores: erasures that wait, residue, shards, answers to lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from app.adapters.chroma.layout import parse_name
from app.adapters.chroma.maintenance_process import IndexFill, last_fill
from app.domain.errors import DependencyUnavailableError, IntegrityError
from app.observability import Metrics
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork

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


def _from_sql(
    uows: UnitsOfWork, read: Callable[[UnitOfWork], Mapping[str, int]]
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
