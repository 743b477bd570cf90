"""Data sets made of a table of items and a table of interactions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.adapters.datasets.columns import moment, number
from app.adapters.datasets.lines import file_size
from app.adapters.datasets.options import TimeUnit
from app.adapters.datasets.table import Row, Table
from app.domain.models import Kind
from app.ports.dataset import START, BadLine, InteractionRecord, ItemRecord, Position
from app.wire.interactions import interaction_from_wire

_ID_DIGITS: Final = 40
MakeItem = Callable[[Row, Position], ItemRecord]


@dataclass(frozen=True, slots=True)
class Events:
    """What a row of interactions says: a rating where there are values, otherwise a view.

    Args:
        now: the present, aware UTC; nothing may have happened after it.
        prefix: of the event ids.
        user, item, value, time: names of columns; None where there is none.
        label: the column of 1 for taken and 0 for only shown. What was only shown is no event.
        kind, text, event_id, recommendation_id, position: names of columns with Lethe's own words.
        unit: of times that are numbers.
        default_time: stands for the times of data without any.
        is_once: whether a user does a thing with an item once, so that the two name the event.
    """

    now: datetime
    prefix: str
    user: str
    item: str
    value: str | None = None
    time: str | None = None
    label: str | None = None
    kind: str | None = None
    text: str | None = None
    event_id: str | None = None
    recommendation_id: str | None = None
    position: str | None = None
    unit: TimeUnit = TimeUnit.S
    default_time: datetime | None = None
    is_once: bool = False

    def record(self, row: Row, position: Position) -> InteractionRecord | None:
        """Return the interaction of a row, or None where nothing happened.

        Raises:
            InvalidInputError: it is none; names the column.
        """
        if self.label and not number(row[self.label], column=self.label) > 0:
            return None
        wire = {
            "event_id": self._event_id(row),
            "user": row[self.user],
            "item_id": row[self.item] or (None if self.kind else ""),  # a note may have none
            "kind": self._kind(row),
            "value": self._value(row),
            "occurred_at": self._occurred_at(row),
            "text": _told(row, self.text),
            "recommendation_id": _told(row, self.recommendation_id),
            "position": _whole(_told(row, self.position)),
        }
        return InteractionRecord(interaction_from_wire(wire, now=self.now), position)

    def _kind(self, row: Row) -> str:
        if self.kind:
            return row[self.kind]
        return (Kind.RATING if self.value else Kind.VIEW).value

    def _value(self, row: Row) -> float | None:
        if not self.value or (self.kind and not row[self.value]):
            return None
        return number(row[self.value], column=self.value)

    def _occurred_at(self, row: Row) -> datetime | None:
        if self.time:
            return moment(row[self.time], column=self.time, unit=self.unit, now=self.now)
        return self.default_time

    def _event_id(self, row: Row) -> str:
        """Return an id that follows from the row: equal rows are one event.

        A hash, since ids may be longer than an event id may be, and may hold any separator.
        """
        if self.event_id:
            return row[self.event_id]
        if self.is_once:
            return f"{self.prefix}:{row[self.user]}:{row[self.item]}"
        content: list[str | None] = [
            row[name] if name else None for name in (self.user, self.item, self.value, self.time)
        ]
        content += [row[name] for name in (self.kind, self.text) if name]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        return f"{self.prefix}:{digest[:_ID_DIGITS]}"


def _told(row: Row, column: str | None) -> str | None:
    return row[column] or None if column else None


def _whole(cell: str | None) -> int | str | None:
    return int(cell) if cell and cell.isdecimal() else cell


class RowDataset:
    """Items and interactions, each a table or missing.

    Args:
        items: the table of items, and what makes one of a row.
        interactions: the table of interactions, and what its rows say.
        remarks: what is not loaded, and why.

    Raises:
        InvalidInputError: a file is missing or empty.
    """

    def __init__(
        self,
        items: tuple[Table, MakeItem] | None,
        interactions: tuple[Table, Events] | None,
        *,
        remarks: tuple[str, ...] = (),
    ) -> None:
        self._items = items
        self._interactions = interactions
        self.remarks = remarks
        self.items_total = file_size(items[0].path) if items else 0
        self.interactions_total = file_size(interactions[0].path) if interactions else 0
        self.file_names = (
            items[0].path.name if items else "",
            interactions[0].path.name if interactions else "",
        )

    def items(self, *, after: Position = START) -> Iterator[ItemRecord | BadLine]:
        if self._items:
            table, make = self._items
            yield from table.read(make, after=after)

    def interactions(self, *, after: Position = START) -> Iterator[InteractionRecord | BadLine]:
        if self._interactions:
            table, events = self._interactions
            yield from table.read(events.record, after=after)
