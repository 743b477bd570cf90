"""Lethe's own wire form: one JSON object a line, as the API takes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from app.adapters.datasets.encodings import encoding_of
from app.adapters.datasets.items import lenient_item
from app.adapters.datasets.lines import file_size, read_records, refuse, stored_as
from app.adapters.datasets.options import NOTHING_TOLD, ReadOptions
from app.ports.dataset import (
    START,
    BadLine,
    InteractionRecord,
    ItemRecord,
    Position,
)
from app.wire.interactions import interaction_from_wire

ITEMS_FILE: Final = "items.ndjson"
INTERACTIONS_FILE: Final = "interactions.ndjson"


class NdjsonDataset:
    """A folder with items.ndjson and interactions.ndjson (one of them is enough), or one file.

    Args:
        path: the folder; or a file of items or of interactions, told apart by the fields of its
            first object.
        now: the present, aware UTC; nothing may have happened after it.
        options: the encoding, if it is not UTF-8, as JSON should be.

    Raises:
        InvalidInputError: there is nothing to read at ``path``.
    """

    def __init__(self, path: Path, *, now: datetime, options: ReadOptions = NOTHING_TOLD) -> None:
        self._now = now
        self._encoding = encoding_of(path, told=options.encoding or "utf-8")
        self._items: Path | None = None
        self._interactions: Path | None = None
        if path.is_dir():
            self._items = _if_there(stored_as(path / ITEMS_FILE))
            self._interactions = _if_there(stored_as(path / INTERACTIONS_FILE))
            if not (self._items or self._interactions):
                raise refuse(f"there is neither {ITEMS_FILE} nor {INTERACTIONS_FILE} in the folder")
        elif _holds_items(path := stored_as(path), encoding=self._encoding):
            self._items = path
        else:
            self._interactions = path
        self.file_names = (
            self._items.name if self._items else "",
            self._interactions.name if self._interactions else "",
        )
        self.remarks: tuple[str, ...] = ()
        self.items_total = file_size(self._items) if self._items else 0
        self.interactions_total = file_size(self._interactions) if self._interactions else 0

    def items(self, *, after: Position = START) -> Iterator[ItemRecord | BadLine]:
        if self._items:
            yield from read_records(
                self._items, make=item_record, after=after, encoding=self._encoding
            )

    def interactions(self, *, after: Position = START) -> Iterator[InteractionRecord | BadLine]:
        if self._interactions:
            yield from read_records(
                self._interactions,
                make=self._interaction,
                after=after,
                encoding=self._encoding,
            )

    def _interaction(self, text: str, position: Position) -> InteractionRecord:
        interaction = interaction_from_wire(_json(text), now=self._now)
        return InteractionRecord(interaction, position)


def item_record(text: str, position: Position) -> ItemRecord:
    """Read one line of items; what is wrong with one but its id is left out.

    Raises:
        InvalidInputError: the line is no object with an id.
    """
    return lenient_item(_json(text), position=position)


def _if_there(path: Path) -> Path | None:
    return path if path.exists() else None


def _json(text: str) -> object:
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        # ValueError also covers integers longer than Python is willing to read.
        raise refuse("is not JSON", field="line") from error
    return parsed


def _holds_items(path: Path, *, encoding: str) -> bool:
    """Whether the first object of the file has an item's fields.

    Only an interaction has a ``kind``. A file without a single object counts as interactions, so
    that each of its lines is reported.
    """
    for record in read_records(path, make=lambda text, _: _json(text), encoding=encoding):
        if isinstance(record, dict):
            return "kind" not in record and "event_id" not in record
    return False
