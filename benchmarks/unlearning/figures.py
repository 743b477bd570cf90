"""Read the cells, and find figures in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

BACKBONES: Final = ("popularity", "item_knn", "ease", "bpr", "lightgcn")
NAMES: Final = {
    "popularity": "popularity",
    "item_knn": "item-kNN",
    "ease": "EASE",
    "bpr": "BPR-MF",
    "lightgcn": "LightGCN",
    "retrain": "Retrain",
    "lethe": "**Lethe**",
    "lethe_settled": "**Lethe**, settled",
}
MAIN: Final = "users-random-10"
SINGLE: Final = "one-user"


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """A method on a backbone of a data set; rows are ordered as the tables are."""

    data: str
    rank: tuple[int, int]
    backbone: str
    method: str

    @property
    def title(self) -> str:
        """Return its name in the tables."""
        backbone = NAMES.get(self.backbone, self.backbone)
        if self.method.startswith("lethe"):
            return NAMES[self.method]
        return f"{NAMES.get(self.method, self.method)}, {backbone}"


class Cells:
    """All cells of a folder.

    Args:
        documents: what the cells' files hold.
    """

    def __init__(self, documents: list[Mapping[str, Any]]) -> None:
        self._by_place: dict[tuple[Row, str], list[Mapping[str, Any]]] = {}
        for cell in documents:
            row = _row(cell)
            self._by_place.setdefault((row, cell["scenario"]), []).append(cell)

    @classmethod
    def read(cls, folder: Path) -> Cells:
        """Read every cell; tuning has files of its own."""
        paths = sorted(folder.glob("*.json"))
        documents = [json.loads(path.read_text("utf-8")) for path in paths]
        return cls([document for document in documents if "scenario" in document])

    def rows(self, data: str, *, scenario: str | None = None) -> list[Row]:
        """Return the rows of a data set that have a cell (of this scenario), in order."""
        return sorted(
            {row for row, name in self._by_place if row.data == data and scenario in {None, name}}
        )

    def data(self) -> list[str]:
        """Return the names of the data sets."""
        return sorted({row.data for row, _ in self._by_place})

    def scenarios(self, data: str) -> list[str]:
        """Return the names of the scenarios of a data set."""
        return sorted({name for row, name in self._by_place if row.data == data})

    def of(self, row: Row, scenario: str) -> list[Mapping[str, Any]]:
        """Return the cells of every seed."""
        return self._by_place.get((row, scenario), [])

    def one(self, row: Row, scenario: str) -> Mapping[str, Any]:
        """Return the cell of the first seed.

        Raises:
            IndexError: there is none.
        """
        return self.of(row, scenario)[0]

    def mean(self, row: Row, scenario: str, *path: str) -> float | None:
        """Return a figure, the mean over seeds; None where no seed has it."""
        found = [value for cell in self.of(row, scenario) if (value := _at(cell, path)) is not None]
        return float(np.mean(found)) if found else None

    def all(self) -> Iterator[Mapping[str, Any]]:
        """Yield every cell."""
        for cells in self._by_place.values():
            yield from cells


def membership_left(cells: Cells, row: Row, scenario: str) -> float | None:
    """Return how much of what memory gave away of members is left: 0 like retrained, 1 all.

    None where the original gave nothing away.
    """
    unlearned, retrained, original = (
        cells.mean(row, scenario, "mia", "memory", system, "auc")
        for system in ("unlearned", "retrained", "original")
    )
    if unlearned is None or retrained is None or original is None:
        return None
    span = original - retrained
    return (unlearned - retrained) / span if abs(span) > 0.05 else None


def _row(cell: Mapping[str, Any]) -> Row:
    backbone, method = str(cell["backbone"]), str(cell["method"])
    order = {"retrain": 0, "lethe": 1, "lethe_settled": 2}.get(method, 3)
    rank = (BACKBONES.index(backbone), order)
    return Row(str(cell["data"]), rank, backbone, method)


def _at(cell: object, path: tuple[str, ...]) -> float | None:
    for key in path:
        if not isinstance(cell, Mapping) or key not in cell:
            return None
        cell = cell[key]
    return float(cell) if isinstance(cell, int | float) else None
