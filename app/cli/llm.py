"""``lethe llm``: whether the language model helps, on the data that are here."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from time import sleep
from typing import Annotated, Final

import typer

from app.cli.options import AsJson, DataDir, tell
from app.domain.errors import (
    DependencyUnavailableError,
    FieldError,
    InvalidInputError,
    RankerError,
)
from app.domain.models import ItemId
from app.domain.recommendation.finding import Finding

llm: Final = typer.Typer(
    name="llm", help="The language model that orders lists.", no_args_is_help=True
)

_PATIENCE_S: Final = 60


@llm.callback()
def _begin() -> None:
    """Have the only command named."""


@llm.command()
def calibrate(
    *,
    people: Annotated[int, typer.Option(min=2, help="Users whose last likes are held out.")] = 60,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="TSV with a row for each query: its words, and ids of items that are meant.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Which users.")] = 2026,
    write: Annotated[
        Path | None, typer.Option(help="File of settings to write what pays into, such as .env.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure which form of the model, at which weight, makes lists better here.

    What users liked last is held out, and the lists should have it; beside that, lists of items
    that count as new, and queries: what users said of an item, or a file. NDCG@10 without the
    model, and what the blend adds with a 95 % interval. A weight pays if that is above 0.

    Ask a copy, or stop an embedded service before. Prints and keeps nothing of anybody.
    """
    from app.cli.runtime import open_runtime

    asked = [] if queries is None else read_queries(queries)
    with open_runtime(data_dir) as runtime:
        if runtime.llm is not None:
            runtime.llm.warm_up()
        found = runtime.container.calibration.measure(
            people=people,
            seed=seed,
            queries=asked,
            tell=lambda situation, n: print(f"{situation}: {n} lists", end="\r", file=sys.stderr),
            recover=lambda: runtime.llm is None or wait_for(runtime.llm.warm_up),
        )
        reading = runtime.container.calibration.reading
    tell({"reading": reading}, f"the model, asked for labels: {reading}", as_json=as_json)
    for one in found:
        tell(asdict(one) | {"pays": one.pays}, _line(one), as_json=as_json)
    settings = advised(found)
    words = "\n".join(f"{name}={value}" for name, value in settings.items())
    tell({"settings": settings}, words, as_json=as_json)
    if write is not None:
        write_settings(write, settings)


def wait_for(warm_up: Callable[[], object], *, wait: Callable[[float], object] = sleep) -> bool:
    """Warm a model up that was given up for a while; lists would count as unanswered until then.

    Returns:
        Whether it is ready; after a minute, whether or not.
    """
    for _ in range(_PATIENCE_S):
        try:
            warm_up()
        except (DependencyUnavailableError, RankerError):
            wait(1)
        else:
            return True
    return False


def read_queries(path: Path) -> list[tuple[str, frozenset[ItemId]]]:
    """Return the queries of a file: words, a tab, ids apart by blanks; a first row of names.

    Raises:
        InvalidInputError: a row has another shape.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    for number, row in enumerate(rows, start=2):
        if len(row) != 2 or not all(map(str.strip, row)):  # noqa: PLR2004 - words and ids
            raise InvalidInputError(FieldError(f"--queries, row {number}", "words, a tab, ids"))
    return [(words, frozenset(map(ItemId, ids.split()))) for words, ids in rows]


def advised(found: Sequence[Finding]) -> dict[str, str]:
    """Return the settings that pay; 0 where nothing does, none where most lists had no answer."""
    settings = {}
    for situation, name in (("history", "WEIGHT"), ("query", "QUERY_WEIGHT")):
        mine = [one for one in found if one.situation == situation and one.cases > one.failed]
        if not mine:
            continue
        best = max(mine, key=lambda one: (one.pays, one.gain[0]))
        settings[f"LETHE_LLM__{name}"] = str(best.weight if best.pays else 0.0)
        if situation == "history" and best.pays and best.form == "likelihood":
            settings["LETHE_LLM__MODE"] = "likelihood"
    return settings


def write_settings(path: Path, settings: Mapping[str, str]) -> None:
    """Set these names in a file of ``NAME=value`` lines; the other lines stay as they are."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if line.partition("=")[0].strip() not in settings]
    text = "".join(
        f"{line}\n" for line in [*kept, *(f"{name}={one}" for name, one in settings.items())]
    )
    path.write_text(text, encoding="utf-8")


def _line(one: Finding) -> str:
    head = f"{one.situation}, {one.form or 'no answer'}: {one.cases} lists"
    if one.late:
        head += f", {one.late} in time only when asked again"
    if one.failed:
        head += f", {one.failed} without an answer"
    if not one.cases:
        return head
    mean, low, high = one.gain
    return (
        f"{head}, NDCG@10 {one.without:.3f} without, {one.alone:.3f} by the model alone; "
        f"at {one.weight} {mean:+.3f} [{low:+.3f}, {high:+.3f}]"
        f"{', pays' if one.pays else ', does not pay'}"
    )
