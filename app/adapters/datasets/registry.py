"""The kinds of data set that ``lethe load`` knows, by name."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from app.adapters.datasets.demo import DemoDataset
from app.adapters.datasets.lines import refuse
from app.adapters.datasets.movielens import MovieLensDataset
from app.adapters.datasets.ndjson import NdjsonDataset
from app.adapters.datasets.recbole import RecBoleDataset
from app.ports.dataset import Dataset, DatasetKind


class _Opens(Protocol):
    def __call__(self, path: Path, *, now: datetime) -> Dataset: ...


_READERS: Final[dict[str, _Opens]] = {
    DatasetKind.ML_100K: MovieLensDataset,
    DatasetKind.NDJSON: NdjsonDataset,
    DatasetKind.RECBOLE: RecBoleDataset,
}


def open_dataset(kind: str, path: Path | None = None, *, now: datetime) -> Dataset:
    """Open a data set; its files are found and their headers read, nothing more.

    Args:
        kind: one of DatasetKind.
        path: of the file or folder; None for demo.
        now: the present, aware UTC; interactions must not lie after it.

    Raises:
        InvalidInputError: an unknown kind, a path too many or missing, or nothing to read there.
    """
    if kind == DatasetKind.DEMO:
        if path is not None:
            raise refuse("the demo set ships with Lethe and takes no path")
        return DemoDataset()
    if kind not in _READERS:
        raise refuse("must be one of " + ", ".join(DatasetKind), field="kind")
    if path is None:
        raise refuse("is required")
    return _READERS[kind](path, now=now)
