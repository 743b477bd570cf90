"""RecBole's atomic files: tab separated, each column named ``name:type`` in the first line.

Source: the page "Atomic Files" of RecBole's documentation (types token, token_seq, float,
float_seq; the values of a sequence are separated by blanks).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from app.adapters.datasets import columns
from app.adapters.datasets.encodings import encoding_of
from app.adapters.datasets.items import lenient_item
from app.adapters.datasets.lines import first_line, plain_name, refuse, stored_as
from app.adapters.datasets.options import NOTHING_TOLD, ReadOptions
from app.adapters.datasets.rows import Events, RowDataset
from app.adapters.datasets.table import Row, Table
from app.domain.errors import InvalidInputError
from app.ports.dataset import ItemRecord, Position

_TYPES: Final = frozenset({"token", "token_seq", "float", "float_seq"})
_YEAR_DIGITS: Final = 4
_ATTRIBUTES: Final = {"class": "genres", "genre": "genres", "release_year": "year"}
"""Column names of the published sets that mean what Lethe already has a word for."""
_INTER, _ITEM, _USER = ".inter", ".item", ".user"
_OR_NONE: Final = "--time-column, or give all one time with --default-time"
_ROLES: Final = {
    "user": ("user_id", columns.USER, "token", "--user-column"),
    "item": ("item_id", columns.ITEM, "token", "--item-column"),
    "value": ("rating", columns.VALUE, "float", "--value-column"),
    "time": ("timestamp", columns.TIME, "float", _OR_NONE),
}
"""Of each column that is needed: its usual name, others, its type, and the option that names it."""


@dataclass(frozen=True, slots=True)
class _Header:
    """The columns of an atomic file: the table, and name to type."""

    table: Table
    types: Mapping[str, str]

    def need(self, role: str, told: str | None) -> str:
        """Return the name of a column: as told, its usual name, or another that means the same.

        Raises:
            InvalidInputError: there is none, or it has another type.
        """
        file, (usual, known, type_, option) = self.table.path.name, _ROLES[role]
        name = told or (usual if usual in self.types else columns.find(self.types, known=known))
        if name is None:
            raise refuse(
                f"{file}: no column {usual}:{type_}; name another with {option}", field="header"
            )
        if name not in self.types:
            raise refuse(f"{file}: no column {name}, which {option} names", field="header")
        if self.types[name] != type_:
            raise refuse(f"{file}: {name} must be of type {type_}", field="header")
        return name


class RecBoleDataset(RowDataset):
    """``NAME.inter`` and, where it is there, ``NAME.item``; ``NAME.user`` is never opened.

    The columns ``user_id:token``, ``item_id:token`` and ``timestamp:float`` are needed, under
    these names or as the options say; with ``rating:float`` a row is a rating, without it a view,
    and with a ``label:float`` of 0 nothing. A set without titles shows the items' ids.

    Args:
        path: the .inter file, or a folder with exactly one, or with one of the folder's name.
        now: the present, aware UTC; no interaction may be younger.
        options: what the files do not say.

    Raises:
        InvalidInputError: a file is missing or empty, or its header is not as above.
    """

    def __init__(self, path: Path, *, now: datetime, options: ReadOptions = NOTHING_TOLD) -> None:
        inter = _inter_file(path)
        item = stored_as(plain_name(inter).with_suffix(_ITEM))
        header = _header(inter, told=options.encoding)
        events = _events(header, now=now, options=options)
        remarks = list(_not_loaded(header, events))
        items = None
        if item.exists():
            facts = _header(item, told=options.encoding)
            maker = _item_maker(facts, options=options)
            items = (facts.table, maker.record)
            remarks += maker.remarks()
        super().__init__(items, (header.table, events), remarks=tuple(remarks))


@dataclass(frozen=True, slots=True)
class _ItemMaker:
    """Which column of an .item file is what."""

    header: _Header
    item: str
    title: str | None

    def record(self, row: Row, position: Position) -> ItemRecord:
        """Return the item of a row; an attribute that cannot be read is left out."""
        attributes: dict[str, object] = {}
        left_out: list[str] = []
        for name, value in row.items():
            type_ = self.header.types[name]
            if name in {self.item, self.title} or not value or type_ == "float_seq":
                continue
            try:
                attributes[_ATTRIBUTES.get(name, name)] = _attribute(name, value, type_=type_)
            except InvalidInputError as error:
                left_out.append(f"attributes.{error.message}")
        title = row[self.title] if self.title else None
        wire = {"item_id": row[self.item], "title": title, "attributes": attributes}
        return lenient_item(wire, position=position, left_out=tuple(left_out))

    def remarks(self) -> Iterator[str]:
        file = self.header.table.path.name
        vectors = sorted(name for name, type_ in self.header.types.items() if type_ == "float_seq")
        if vectors:
            yield f"{file}: not loaded, as vectors are no facts: {', '.join(vectors)}."
        if not self.title:
            yield f"{file}: no column of titles; ids are shown (--title-column names one)."


def _attribute(name: str, value: str, *, type_: str) -> object:
    if type_ == "float":
        return columns.number(value, column=name)
    if type_ == "token_seq":
        return value.split()
    is_year = _ATTRIBUTES.get(name, name) == "year" and len(value) <= _YEAR_DIGITS
    return int(value) if is_year and value.isdecimal() else value


def _item_maker(header: _Header, *, options: ReadOptions) -> _ItemMaker:
    told = options.item_column if options.item_column in header.types else None
    item = header.need("item", told)
    words = [
        name for name, type_ in header.types.items() if type_.startswith("token") and name != item
    ]
    title = options.title_column or columns.find_title(words)
    if title is not None and title not in words:
        raise refuse(
            f"{header.table.path.name}: no column {title} of words, which --title-column names",
            field="header",
        )
    return _ItemMaker(header, item, title)


def _events(header: _Header, *, now: datetime, options: ReadOptions) -> Events:
    value = options.value_column or ("rating" if "rating" in header.types else None)
    is_timeless = options.default_time and not (options.time_column or "timestamp" in header.types)
    return Events(
        now=now,
        prefix="recbole",
        user=header.need("user", options.user_column),
        item=header.need("item", options.item_column),
        value=value and header.need("value", value),
        time=None if is_timeless else header.need("time", options.time_column),
        label="label" if "label" in header.types else None,
        unit=options.time_unit,
        default_time=options.default_time,
    )


def _not_loaded(header: _Header, events: Events) -> Iterator[str]:
    inter = header.table.path
    users = stored_as(plain_name(inter).with_suffix(_USER))
    if users.exists():
        yield f"{users.name} is not loaded: Lethe keeps no facts about a person but their acts."
    if events.label:
        yield f"{inter.name}: rows with label 0 were only shown: they are no events."
    used = {events.user, events.item, events.value, events.time, events.label}
    if others := set(header.types) - used:
        yield f"{inter.name}: not loaded: {', '.join(sorted(others))}."


def _inter_file(path: Path) -> Path:
    if not path.is_dir():
        if plain_name(path).suffix != _INTER:
            raise refuse("must be a .inter file, or the folder with one")
        return stored_as(path)
    found = sorted({*path.glob("*.inter"), *path.glob("*.inter.gz")})
    of_folder = stored_as(path / f"{path.resolve().name}{_INTER}")
    if of_folder in found:
        return of_folder
    if not found:
        raise refuse("there is no .inter file in the folder")
    if len(found) > 1:
        raise refuse("name one of " + ", ".join(file.name for file in found))
    return found[0]


def _header(path: Path, *, told: str | None) -> _Header:
    """Read the header of ``path``."""
    encoding = encoding_of(path, told=told)
    text, end = first_line(path, encoding=encoding)
    separator = "\t" if "\t" in text or " " not in text else " "
    types: dict[str, str] = {}
    for column in text.split(separator):
        name, colon, type_ = column.partition(":")
        if not colon or type_ not in _TYPES:
            raise refuse(
                f"{path.name}: each column must be named as name:type, with tabs between them; "
                "a file with commas is read by: lethe load csv",
                field="header",
            )
        if name in types:
            raise refuse(f"{path.name}: two columns {name}", field="header")
        types[name] = type_
    return _Header(Table(path, tuple(types), separator, encoding, end), types)
