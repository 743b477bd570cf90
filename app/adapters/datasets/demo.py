"""The demo set: public-domain books, and simulated readers of them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.adapters.datasets.lines import file_size, read_records, refuse
from app.adapters.datasets.ndjson import item_record
from app.adapters.datasets.readers import DEFAULT_SEED, Shelf, simulate
from app.domain.models import Item, ReportedInteraction
from app.ports.dataset import (
    START,
    BadLine,
    InteractionRecord,
    ItemRecord,
    Position,
)

DEMO_FOLDER: Final = Path(__file__).resolve().parents[2] / "data" / "demo"


class DemoDataset:
    """The books that ship with Lethe, and about 20,000 interactions made from a seed.

    Unlike a file, the interactions are all made at once and held (some 10 MB).

    Args:
        seed: another one makes other readers, under the same event ids.
        folder: of books.ndjson, well_known.txt and notes.json.

    Raises:
        InvalidInputError: the catalogue is missing or broken.
    """

    def __init__(self, *, seed: int = DEFAULT_SEED, folder: Path = DEMO_FOLDER) -> None:
        self._books = folder / "books.ndjson"
        self.items_total = file_size(self._books)
        self.file_names = (self._books.name, "demo")
        self.shelf = _read_shelf(folder)
        self._interactions: tuple[ReportedInteraction, ...] = tuple(simulate(self.shelf, seed=seed))
        self.interactions_total = len(self._interactions)
        self.remarks = ("The readers are simulated: their names and ratings belong to nobody.",)

    def items(self, *, after: Position = START) -> Iterator[ItemRecord | BadLine]:
        return read_records(self._books, make=item_record, after=after)

    def interactions(self, *, after: Position = START) -> Iterator[InteractionRecord | BadLine]:
        behind = itertools.islice(enumerate(self._interactions, start=1), after.offset, None)
        for count, interaction in behind:
            yield InteractionRecord(interaction, Position(line=count, offset=count))


def _read_shelf(folder: Path) -> Shelf:
    books: list[Item] = []
    for record in read_records(folder / "books.ndjson", make=item_record):
        if isinstance(record, BadLine):
            raise refuse(f"{record.file}, line {record.line}: {record.message}")
        books.append(record.item)
    well_known = (folder / "well_known.txt").read_text(encoding="utf-8").split()
    notes = json.loads((folder / "notes.json").read_text(encoding="utf-8"))
    return Shelf.of(books, well_known=well_known, notes=notes)
