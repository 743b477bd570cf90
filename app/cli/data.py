"""``lethe load``, ``recommend`` and ``forget``: the use cases without HTTP."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from app.adapters.datasets.registry import DatasetKind, open_dataset
from app.api.recommended import RecommendOut
from app.bootstrap import Runtime, build
from app.bootstrap.database import prepare_database
from app.domain.forgetting import RequestState
from app.domain.models import ItemId
from app.domain.scope import AllScope, ItemsScope
from app.observability import configure_logging
from app.ports.dataset import BadLine, Dataset, Position
from app.services.forget import ForgetCommand
from app.services.load import LoadResult, LoadWatcher
from app.services.recommend import RecommendQuery
from app.settings import Settings, load_settings

_SHOWN_BAD_LINES: Final = 20
_SOME_LINES_REFUSED: Final = 3


@contextmanager
def open_runtime(settings: Settings) -> Iterator[Runtime]:
    """Put the service together for one command, quiet but for warnings."""
    configure_logging(level="warning", is_json=False, is_strict=not settings.is_production)
    prepare_database(settings)
    with build(settings) as runtime:
        yield runtime


def load(
    kind: Annotated[DatasetKind, typer.Argument(help="What to read.")],
    path: Annotated[Path | None, typer.Argument(help="File or folder; none for demo.")] = None,
    *,
    data_dir: Annotated[Path | None, typer.Option(help="Directory of all files.")] = None,
) -> None:
    """Load a data set; broken off, it goes on where it was; repeated, nothing changes."""
    settings = load_settings(data_dir=data_dir)
    with open_runtime(settings) as runtime:
        result = _load(runtime, kind=kind, path=path)
    if result.bad:
        raise typer.Exit(_SOME_LINES_REFUSED)


def load_demo(settings: Settings) -> None:
    """Load the demo set, unless there is a catalogue already."""
    with open_runtime(settings) as runtime:
        if not runtime.container.catalogue.count():
            _load(runtime, kind=DatasetKind.DEMO, path=None)


def _load(runtime: Runtime, *, kind: DatasetKind, path: Path | None) -> LoadResult:
    container = runtime.container
    dataset = open_dataset(kind, path, now=container.clock.now())
    console = Console(stderr=True)
    for remark in dataset.remarks:
        console.print(remark, style="dim")
    name = f"{kind}:{path.absolute()}" if path else str(kind)
    started_s = time.monotonic()
    with _progress(console) as progress:
        watcher = _watcher(progress, dataset, console)
        result = container.load.load(dataset, name=name, watcher=watcher)
    seconds = time.monotonic() - started_s
    total = result.accepted + result.duplicate + result.refused
    console.print(
        f"{result.items} items; {result.accepted} interactions accepted, "
        f"{result.duplicate} duplicate, {result.refused} refused by an erasure, "
        f"{result.bad} lines bad; {seconds:.1f} s, {total / seconds:.0f} interactions/s"
    )
    return result


def _progress(console: Console) -> Progress:
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
    shown = 0

    def moved(part: str, position: Position) -> None:
        if part not in tasks:
            tasks[part] = progress.add_task(part, total=totals[part])
        progress.update(tasks[part], completed=position.offset)

    def refused(line: BadLine) -> None:
        nonlocal shown
        shown += 1
        if shown <= _SHOWN_BAD_LINES:
            console.print(f"{line.file}:{line.line}: {line.message}", markup=False)
        elif shown == _SHOWN_BAD_LINES + 1:
            console.print("more bad lines follow; only their number is told", style="dim")

    return LoadWatcher(moved=moved, refused=refused)


def recommend(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    *,
    n: Annotated[int, typer.Option(min=1, max=100, help="How many items.")] = 10,
    data_dir: Annotated[Path | None, typer.Option(help="Directory of all files.")] = None,
) -> None:
    """Recommend, as GET /recommend does."""
    with open_runtime(load_settings(data_dir=data_dir)) as runtime:
        container = runtime.container
        container.feed.start()
        query = RecommendQuery(pseudonym=container.identity.pseudonym(user), n=n)
        answer = container.recommend.recommend(query)
        print(RecommendOut.from_domain(answer, user=user).model_dump_json(indent=2))
        container.feed.stop()


def forget(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    *,
    item: Annotated[list[str] | None, typer.Option(help="Only this item; may repeat.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Directory of all files.")] = None,
) -> None:
    """Forget a user, or some of their items, and wait until it is done."""
    with open_runtime(load_settings(data_dir=data_dir)) as runtime:
        container = runtime.container
        scope = ItemsScope(tuple(sorted(ItemId(one) for one in item))) if item else AllScope()
        pseudonym = container.identity.pseudonym(user)
        accepted = container.forget.accept(ForgetCommand(pseudonym=pseudonym, scope=scope))
        request_id = accepted.request.request_id
        container.erase.execute(request_id)
        found = container.forget.status(request_id)
        journal = {f"{one.step}/{one.store}": one.touched for one in found.steps}
        status = found.request.state.value
        print(json.dumps({"request_id": request_id, "status": status, "touched": journal}))
    if found.request.state is not RequestState.COMPLETED:
        print("lethe: not completed yet; the sweeper goes on with it", file=sys.stderr)
        raise typer.Exit(1)
