"""CSV files whose first row names the columns."""

from __future__ import annotations

import re
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from app.adapters.datasets import columns
from app.adapters.datasets.encodings import encoding_of
from app.adapters.datasets.items import lenient_item
from app.adapters.datasets.lines import file_size, refuse, stored_as
from app.adapters.datasets.options import NOTHING_TOLD, ReadOptions
from app.adapters.datasets.rows import Events, MakeItem, RowDataset
from app.adapters.datasets.table import Row, Table, open_csv
from app.ports.dataset import ItemRecord, Position

ITEMS_FILE: Final = "items.csv"
INTERACTIONS_FILE: Final = "interactions.csv"
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d+)?")
"""Not 007, 1e5 or 1,299: a code must stay what it is."""
_FLAGS: Final = {"true": True, "false": False}


class CsvDataset(RowDataset):
    """A folder with items.csv and interactions.csv (one is enough), or one of them by any name.

    Columns are found by the usual names, or as the options say. In the items' file every column
    but id, title and description is an attribute: a number, ``true`` or ``false``, a list where
    there are bars (``Drama|War``), otherwise a text. An empty cell is no attribute. A row of
    interactions may have ``kind``, ``text``, ``event_id``, ``recommendation_id`` and ``position``
    in Lethe's own words.

    Args:
        path: the folder; or a file, which holds interactions if it has a column of users.
        now: the present, aware UTC; nothing may have happened after it.
        options: what the files do not say.

    Raises:
        InvalidInputError: there is nothing to read at ``path``, or a column is missing.
    """

    def __init__(self, path: Path, *, now: datetime, options: ReadOptions = NOTHING_TOLD) -> None:
        items: tuple[Table, MakeItem] | None = None
        interactions: tuple[Table, Events] | None = None
        for table in _tables(path, options=options):
            user = columns.find(table.columns, known=columns.USER)
            if user is not None or options.user_column in table.columns:
                interactions = (table, _events(table, now=now, options=options))
            else:
                items = (table, _item_maker(table, options=options))
        super().__init__(items, interactions, remarks=_remarks(items, options=options))


def _tables(path: Path, *, options: ReadOptions) -> list[Table]:
    files = [stored_as(path)]
    if path.is_dir():
        both = (stored_as(path / ITEMS_FILE), stored_as(path / INTERACTIONS_FILE))
        files = [file for file in both if file.exists()]
        if not files:
            raise refuse(f"there is neither {ITEMS_FILE} nor {INTERACTIONS_FILE} in the folder")
    for file in files:
        file_size(file)
    return [open_csv(file, encoding=encoding_of(file, told=options.encoding)) for file in files]


def _column(table: Table, told: str | None, *, known: frozenset[str], option: str) -> str:
    """Return the name of a column that is needed.

    Raises:
        InvalidInputError: it is not there.
    """
    name = told or columns.find(table.columns, known=known)
    if name is None or name not in table.columns:
        raise refuse(
            f"{table.path.name}: no such column in the first row; name it with {option}",
            field="header",
        )
    return name


def _events(table: Table, *, now: datetime, options: ReadOptions) -> Events:
    """Return what the rows of a table of interactions say; see ``CsvDataset``."""
    value = options.value_column or columns.find(table.columns, known=columns.VALUE)
    time = options.time_column or columns.find(table.columns, known=columns.TIME)
    if not (time is None and options.default_time):
        time = _column(
            table,
            time,
            known=columns.TIME,
            option="--time-column, or give all one time with --default-time",
        )
    names = {name: name for name in table.columns}
    return Events(
        now=now,
        prefix="csv",
        user=_column(table, options.user_column, known=columns.USER, option="--user-column"),
        item=_column(table, options.item_column, known=columns.ITEM, option="--item-column"),
        value=value and _column(table, value, known=columns.VALUE, option="--value-column"),
        time=time,
        kind=names.get("kind"),
        text=names.get("text"),
        event_id=names.get("event_id"),
        recommendation_id=names.get("recommendation_id"),
        position=names.get("position"),
        unit=options.time_unit,
        default_time=options.default_time,
    )


def _title(table: Table, *, options: ReadOptions) -> str | None:
    if options.title_column and options.title_column not in table.columns:
        raise refuse(
            f"{table.path.name}: no column of the name that --title-column gives", field="header"
        )
    return options.title_column or columns.find_title(table.columns)


def _item_maker(table: Table, *, options: ReadOptions) -> MakeItem:
    told = options.item_column if options.item_column in table.columns else None
    known = columns.ITEM | {"id"}
    item = _column(table, told, known=known, option="--item-column")
    return partial(_item, item=item, title=_title(table, options=options))


def _item(row: Row, position: Position, *, item: str, title: str | None) -> ItemRecord:
    attributes = {
        name: _guessed(cell.strip())
        for name, cell in row.items()
        if name not in {item, title, "description"} and cell.strip()
    }
    wire = {
        "item_id": row[item],
        "title": row[title] if title else None,
        "description": row.get("description"),
        "attributes": attributes,
    }
    return lenient_item(wire, position=position)


def _guessed(cell: str) -> object:
    if "|" in cell:
        return [part.strip() for part in cell.split("|")]
    if found := _NUMBER.fullmatch(cell):
        return float(cell) if found[2] else int(cell)
    return _FLAGS.get(cell, cell)


def _remarks(items: tuple[Table, MakeItem] | None, *, options: ReadOptions) -> tuple[str, ...]:
    if items is None or _title(items[0], options=options):
        return ()
    name = items[0].path.name
    return (f"{name}: no column of titles; ids are shown (--title-column names one).",)
