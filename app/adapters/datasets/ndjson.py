"""Lethe's own wire form: one JSON object a line, as the API takes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from app.adapters.datasets.lines import file_size, read_records, refuse
from app.ports.dataset import (
    START,
    BadLine,
    InteractionRecord,
    ItemRecord,
    Position,
)
from app.wire.schemas import interaction_from_wire, item_from_wire

ITEMS_FILE: Final = "items.ndjson"
INTERACTIONS_FILE: Final = "interactions.ndjson"


class NdjsonDataset:
    """A folder with items.ndjson and interactions.ndjson (one of them is enough), or one file.

    Args:
        path: the folder; or a file of items or of interactions, told apart by the fields of its
            first object.
        now: the present, aware UTC; nothing may have happened after it.

    Raises:
        InvalidInputError: there is nothing to read at ``path``.
    """

    def __init__(self, path: Path, *, now: datetime) -> None:
        self._now = now
        self._items: Path | None = None
        self._interactions: Path | None = None
        if path.is_dir():
            self._items = _if_there(path / ITEMS_FILE)
            self._interactions = _if_there(path / INTERACTIONS_FILE)
            if not (self._items or self._interactions):
                raise refuse(f"there is neither {ITEMS_FILE} nor {INTERACTIONS_FILE} in the folder")
        elif _holds_items(path):
            self._items = path
        else:
            self._interactions = path
        self.remarks: tuple[str, ...] = ()
        self.items_total = file_size(self._items) if self._items else 0
        self.interactions_total = file_size(self._interactions) if self._interactions else 0

    def items(self, *, after: Position = START) -> Iterator[ItemRecord | BadLine]:
        """Yield the items; see Dataset."""
        if self._items:
            yield from read_records(self._items, make=item_record, after=after)

    def interactions(self, *, after: Position = START) -> Iterator[InteractionRecord | BadLine]:
        """Yield the interactions; see Dataset."""
        if self._interactions:
            yield from read_records(self._interactions, make=self._interaction, after=after)

    def _interaction(self, text: str, position: Position) -> InteractionRecord:
        interaction = interaction_from_wire(_json(text), now=self._now)
        return InteractionRecord(interaction, position)


def item_record(text: str, position: Position) -> ItemRecord:
    """Read one line of items.

    Raises:
        InvalidInputError: the line is no item.
    """
    return ItemRecord(item_from_wire(_json(text)), position)


def _if_there(path: Path) -> Path | None:
    return path if path.exists() else None


def _json(text: str) -> object:
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        # ValueError also covers integers longer than Python is willing to read.
        raise refuse("is not JSON", field="line") from error
    return parsed


def _holds_items(path: Path) -> bool:
    """Whether the first object of the file has an item's fields.

    Only an interaction has a ``kind``. A file without a single object counts as interactions, so
    that each of its lines is reported.
    """
    for record in read_records(path, make=lambda text, _: _json(text)):
        if isinstance(record, dict):
            return "kind" not in record and "event_id" not in record
    return False
