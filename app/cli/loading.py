"""``lethe load``: shows how far a load is, and sends one to a running service."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, Protocol, TypeVar

from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from app.adapters.datasets.options import NOTHING_TOLD, ReadOptions
from app.adapters.datasets.registry import open_dataset
from app.cli.remote import Remote
from app.domain.models import Item, ReportedInteraction
from app.ports.dataset import BadLine, Dataset, DatasetKind, InteractionRecord, ItemRecord, Position
from app.services.ingestion.dataset_loader import LoadResult, LoadWatcher
from app.services.ingestion.outcomes import Outcome

_SHOWN_BAD_LINES: Final = 20
_AT_ONCE: Final = 500
"""Entries of a request; a service takes 1,000 unless it is told otherwise."""
_BAD: Final = frozenset({Outcome.UNKNOWN_ITEM, Outcome.INVALID})
_ITEM: Final = TypeAdapter(Item)
_INTERACTION: Final = TypeAdapter(ReportedInteraction)
Record = TypeVar("Record", ItemRecord, InteractionRecord)


class Load(Protocol):
    """Takes a data set in: here, or at a running service."""

    def __call__(self, dataset: Dataset, *, name: str, watcher: LoadWatcher) -> LoadResult:
        """Load it; ``name`` is under which the position is remembered."""


def load_there(
    dataset: Dataset, *, service: Remote, name: str = "", watcher: LoadWatcher
) -> LoadResult:
    """Send a data set to a running service; sent again, it changes nothing (so no position)."""
    del name
    result = LoadResult()
    for items in _batches(dataset.items(), result, watcher):
        body = [_ITEM.dump_python(one.item, mode="json", exclude={"is_stub"}) for one in items]
        service.post("/items", body)
        result.items += len(items)
        for one in items:
            result.left_out += len(one.left_out)
            for message in one.left_out:
                watcher.left_out(BadLine(dataset.file_names[0], one.position, message))
        watcher.moved("items", items[-1].position)
    for rows in _batches(dataset.interactions(), result, watcher):
        told = [
            _INTERACTION.dump_python(one.interaction, mode="json", exclude_none=True)
            for one in rows
        ]
        done = service.post("/interactions?on_error=skip", told)
        for count in ("accepted", "duplicate", "updated", "refused"):
            setattr(result, count, getattr(result, count) + done[count])
        for error in done["errors"]:
            if error["code"] in _BAD:
                at = rows[error["index"]].position
                result.bad += 1
                result.refused -= 1  # which are those that an erasure refuses
                watcher.refused(BadLine(dataset.file_names[1], at, error["code"]))
        watcher.moved("interactions", rows[-1].position)
    return result


def _batches(
    records: Iterator[Record | BadLine], result: LoadResult, watcher: LoadWatcher
) -> Iterator[list[Record]]:
    """Yield the records that can be read, some at a time; tell of the lines that cannot."""
    while entries := list(islice(records, _AT_ONCE)):
        good: list[Record] = []
        for entry in entries:
            if isinstance(entry, BadLine):
                result.bad += 1
                watcher.refused(entry)
            else:
                good.append(entry)
        if good:
            yield good


def load_dataset(
    load: Load, *, kind: DatasetKind, path: Path | None, options: ReadOptions = NOTHING_TOLD
) -> LoadResult:
    """Load a data set, showing how far it is; returns what became of its lines."""
    gc.freeze()  # else what was imported is looked through again and again, a sixth of a load
    dataset = open_dataset(kind, path, now=datetime.now(UTC), options=options)
    console = Console(stderr=True)
    for remark in dataset.remarks:
        console.print(remark, style="dim")
    name = f"{kind}:{path.absolute()}" if path else str(kind)
    started_s = time.monotonic()
    with progress_on(console) as progress:
        watcher = _watcher(progress, dataset, console)
        result = load(dataset, name=name, watcher=watcher)
    seconds = time.monotonic() - started_s
    total = result.accepted + result.duplicate + result.updated + result.refused
    console.print(
        f"{result.items} items, {result.left_out} of their attributes left out; "
        f"{result.accepted} interactions accepted, "
        f"{result.duplicate} duplicate, {result.updated} corrected, "
        f"{result.refused} refused by an erasure, "
        f"{result.bad} lines bad; {seconds:.1f} s, {total / seconds:.0f} interactions/s"
    )
    return result


def progress_on(console: Console) -> Progress:
    """Return a bar with counts and the time that is left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console)


def _watcher(progress: Progress, dataset: Dataset, console: Console) -> LoadWatcher:
    totals = {"items": dataset.items_total, "interactions": dataset.interactions_total}
    tasks: dict[str, TaskID] = {}
    shown: Counter[str] = Counter()

    def moved(part: str, position: Position) -> None:
        if part not in tasks:
            tasks[part] = progress.add_task(part, total=totals[part])
        progress.update(tasks[part], completed=position.offset)

    def tell(line: BadLine, *, what: str) -> None:
        shown[what] += 1
        if shown[what] <= _SHOWN_BAD_LINES:
            console.print(f"{line.file}:{line.line}: {what}: {line.message}", markup=False)
        elif shown[what] == _SHOWN_BAD_LINES + 1:
            console.print(f"more of these follow ({what}); only their number is told", style="dim")

    return LoadWatcher(
        moved=moved,
        refused=partial(tell, what="line not loaded"),
        left_out=partial(tell, what="attribute left out"),
    )
