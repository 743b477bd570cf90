"""The kinds of data set that ``lethe load`` knows, by name."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from app.adapters.datasets.csv_files import CsvDataset
from app.adapters.datasets.export import ExportDataset
from app.adapters.datasets.lines import refuse
from app.adapters.datasets.movielens import MovieLensDataset, MovieLensTables
from app.adapters.datasets.ndjson import NdjsonDataset
from app.adapters.datasets.options import NOTHING_TOLD, ReadOptions
from app.adapters.datasets.recbole import RecBoleDataset
from app.ports.dataset import Dataset, DatasetKind

DEMO_FOLDER: Final = Path(__file__).resolve().parents[2] / "data" / "demo"


class _Opens(Protocol):
    def __call__(self, path: Path, *, now: datetime, options: ReadOptions) -> Dataset: ...


_READERS: Final[dict[str, _Opens]] = {
    DatasetKind.ML_100K: MovieLensDataset,
    DatasetKind.MOVIELENS: MovieLensTables,
    DatasetKind.CSV: CsvDataset,
    DatasetKind.NDJSON: NdjsonDataset,
    DatasetKind.RECBOLE: RecBoleDataset,
    DatasetKind.EXPORT: ExportDataset,
}
_TAKES_ALL: Final = frozenset({DatasetKind.CSV, DatasetKind.RECBOLE})


def open_dataset(
    kind: str,
    path: Path | None = None,
    *,
    now: datetime,
    options: ReadOptions = NOTHING_TOLD,
) -> Dataset:
    """Open a data set; its files are found and their headers read, and no row is kept.

    Args:
        kind: one of DatasetKind.
        path: of the file or folder; None for demo.
        now: the present, aware UTC; interactions must not lie after it.
        options: what the files do not say.

    Raises:
        InvalidInputError: an unknown kind, a path too many or missing, an option that means
            nothing for the kind, or nothing to read there.
    """
    if kind not in set(DatasetKind):
        raise refuse("must be one of " + ", ".join(DatasetKind), field="kind")
    _require_meaning(options, kind=kind)
    if kind == DatasetKind.DEMO:
        if path is not None:
            raise refuse("the demo set ships with Lethe and takes no path")
        demo = NdjsonDataset(DEMO_FOLDER, now=now)
        demo.remarks = ("The readers are simulated: their names and ratings belong to nobody.",)
        return demo
    if path is None:
        raise refuse(f"is required, as in: lethe load {kind} PATH")
    return _READERS[kind](path, now=now, options=options)


def _require_meaning(options: ReadOptions, *, kind: str) -> None:
    """Refuse an option that would be passed over without a word."""
    if kind in _TAKES_ALL:
        return
    for field in fields(options):
        is_told = getattr(options, field.name) != field.default
        if is_told and (field.name != "encoding" or kind == DatasetKind.DEMO):
            option = "--" + field.name.replace("_", "-")
            raise refuse(f"means nothing for the kind {kind}, whose files say it", field=option)
