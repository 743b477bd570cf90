"""The service put together for one command. Heavy: only a command that needs it imports it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

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
from app.bootstrap import Runtime, build
from app.bootstrap.database import prepare_database
from app.observability import configure_logging
from app.ports.dataset import BadLine, Dataset, DatasetKind, Position
from app.services.ingestion.dataset_loader import LoadResult, LoadWatcher
from app.settings import Settings, load_settings

_SHOWN_BAD_LINES: Final = 20


@contextmanager
def open_runtime(data_dir: Path | None) -> Iterator[Runtime]:
    """Put the service together for one command, quiet but for warnings."""
    settings = load_settings(data_dir=data_dir)
    with runtime_of(settings) as runtime:
        yield runtime


@contextmanager
def runtime_of(settings: Settings) -> Iterator[Runtime]:
    """Do the same with settings that are read already."""
    configure_logging(level="warning", is_json=False, is_strict=not settings.is_production)
    prepare_database(settings)
    with build(settings) as runtime:
        yield runtime


def load_demo(settings: Settings) -> None:
    """Load the demo set, unless there is a catalogue already."""
    with runtime_of(settings) as runtime:
        if not runtime.container.catalogue.count():
            load_dataset(runtime, kind=DatasetKind.DEMO, path=None)


def load_dataset(
    runtime: Runtime,
    *,
    kind: DatasetKind,
    path: Path | None,
    options: ReadOptions = NOTHING_TOLD,
) -> LoadResult:
    """Load a data set, showing how far it is; returns what became of its lines."""
    container = runtime.container
    dataset = open_dataset(kind, path, now=container.clock.now(), options=options)
    console = Console(stderr=True)
    for remark in dataset.remarks:
        console.print(remark, style="dim")
    name = f"{kind}:{path.absolute()}" if path else str(kind)
    started_s = time.monotonic()
    with progress_on(console) as progress:
        watcher = _watcher(progress, dataset, console)
        result = container.load.load(dataset, name=name, watcher=watcher)
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
