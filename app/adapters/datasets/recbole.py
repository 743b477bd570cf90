"""RecBole's atomic files: tab separated, each column named ``name:type`` in the first line.

Source: the page "Atomic Files" of RecBole's documentation (types token, token_seq, float,
float_seq; the values of a sequence are separated by blanks).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from app.adapters.datasets.columns import moment, number, split
from app.adapters.datasets.lines import file_size, first_line, read_records, refuse
from app.domain.models import Kind
from app.ports.dataset import (
    START,
    BadLine,
    InteractionRecord,
    ItemRecord,
    Position,
)
from app.wire.schemas import interaction_from_wire, item_from_wire

_TYPES: Final = frozenset({"token", "token_seq", "float", "float_seq"})
_TITLES: Final = ("title", "movie_title", "item_name", "name")
_YEAR_DIGITS: Final = 4
_ATTRIBUTES: Final = {"class": "genres", "genre": "genres", "release_year": "year"}
"""Column names of the published sets that mean what Lethe already has a word for."""


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of an atomic file.

    Args:
        types: name to type, in file order.
        end: the position behind the header.
    """

    types: Mapping[str, str]
    end: Position

    def values(self, text: str) -> dict[str, str]:
        """Return name to text of one line.

        Raises:
            InvalidInputError: the line has another number of columns.
        """
        columns = split(text, separator="\t", n_columns=len(self.types))
        return dict(zip(self.types, columns, strict=True))


class RecBoleDataset:
    """``NAME.inter`` and, where it is there, ``NAME.item``; ``NAME.user`` is never opened.

    The columns ``user_id:token``, ``item_id:token`` and ``timestamp:float`` (seconds since 1970)
    are needed; with ``rating:float`` a row is a rating, without it a view.

    Args:
        path: the .inter file, or a folder with exactly one, or with one of the folder's name.
        now: the present, aware UTC; no interaction may be younger.

    Raises:
        InvalidInputError: a file is missing or empty, or its header is not as above.
    """

    def __init__(self, path: Path, *, now: datetime) -> None:
        self._now = now
        self._inter = _inter_file(path)
        self._item = self._inter.with_suffix(".item")
        self.interactions_total = file_size(self._inter)
        self._inter_header = _header(
            self._inter,
            needed={"user_id": "token", "item_id": "token", "timestamp": "float"},
            known={"rating": "float"},
        )
        self._item_header: Header | None = None
        self.items_total = 0
        if self._item.exists():
            self.items_total = file_size(self._item)
            self._item_header = _header(self._item, needed={"item_id": "token"}, known={})
        self.remarks = tuple(self._not_loaded())

    def _not_loaded(self) -> Iterator[str]:
        users = self._inter.with_suffix(".user")
        if users.exists():
            yield f"{users.name} is not loaded: Lethe keeps no facts about a person but their acts."
        others = set(self._inter_header.types) - {"user_id", "item_id", "rating", "timestamp"}
        if others:
            yield f"{self._inter.name}: not loaded: {', '.join(sorted(others))}."
        vectors = _of_type(self._item_header, "float_seq")
        if vectors:
            yield f"{self._item.name}: not loaded, as vectors are no facts: {', '.join(vectors)}."

    def items(self, *, after: Position = START) -> Iterator[ItemRecord | BadLine]:
        """Yield the items; a set without a title column shows item ids as titles; see Dataset."""
        header = self._item_header
        if header is None:
            return iter(())
        return read_records(
            self._item,
            make=lambda text, position: _item(header, text, position),
            after=max(after, header.end),
        )

    def interactions(self, *, after: Position = START) -> Iterator[InteractionRecord | BadLine]:
        """Yield the interactions; see Dataset."""
        return read_records(
            self._inter, make=self._interaction, after=max(after, self._inter_header.end)
        )

    def _interaction(self, text: str, position: Position) -> InteractionRecord:
        row = self._inter_header.values(text)
        wire = {
            "event_id": _event_id(row),
            "user": row["user_id"],
            "item_id": row["item_id"],
            "kind": (Kind.RATING if "rating" in row else Kind.VIEW).value,
            "value": number(row["rating"], column="rating") if "rating" in row else None,
            "occurred_at": moment(row["timestamp"], column="timestamp"),
        }
        return InteractionRecord(interaction_from_wire(wire, now=self._now), position)


def _event_id(row: Mapping[str, str]) -> str:
    """Return an id that follows from the row: equal rows are one event.

    A hash, since ids may be longer than an event id may be, and may hold any separator.
    """
    names = ("user_id", "item_id", "rating", "timestamp")
    content = json.dumps([row.get(name) for name in names])
    return "recbole:" + hashlib.sha256(content.encode()).hexdigest()[:40]


def _item(header: Header, text: str, position: Position) -> ItemRecord:
    row = header.values(text)
    title = next((name for name in _TITLES if name in row), "item_id")
    attributes = {
        _ATTRIBUTES.get(name, name): _attribute(name, value, type_=header.types[name])
        for name, value in row.items()
        if name not in {"item_id", title} and value and header.types[name] != "float_seq"
    }
    wire = {"item_id": row["item_id"], "title": row[title], "attributes": attributes}
    return ItemRecord(item_from_wire(wire), position)


def _attribute(name: str, value: str, *, type_: str) -> object:
    if type_ == "float":
        return number(value, column=name)
    if type_ == "token_seq":
        return value.split()
    is_year = _ATTRIBUTES.get(name, name) == "year" and len(value) <= _YEAR_DIGITS
    return int(value) if is_year and value.isdecimal() else value


def _of_type(header: Header | None, type_: str) -> list[str]:
    return sorted(name for name, found in header.types.items() if found == type_) if header else []


def _inter_file(path: Path) -> Path:
    if not path.is_dir():
        if path.suffix != ".inter":
            raise refuse("must be a .inter file, or the folder with one")
        return path
    found = sorted(path.glob("*.inter"))
    of_folder = path / f"{path.resolve().name}.inter"
    if of_folder in found:
        return of_folder
    if not found:
        raise refuse("there is no .inter file in the folder")
    if len(found) > 1:
        raise refuse("name one of " + ", ".join(file.name for file in found))
    return found[0]


def _header(path: Path, *, needed: Mapping[str, str], known: Mapping[str, str]) -> Header:
    """Read the header of ``path``; ``needed`` and ``known`` columns must have the type given."""
    text, end = first_line(path)
    types: dict[str, str] = {}
    for column in text.split("\t"):
        name, colon, type_ = column.partition(":")
        if not colon or type_ not in _TYPES:
            raise refuse(f"{path.name}: each column must be named as name:type", field="header")
        if name in types:
            raise refuse(f"{path.name}: two columns {name}", field="header")
        types[name] = type_
    for name, type_ in needed.items():
        if name not in types:
            raise refuse(f"{path.name}: no column {name}:{type_}", field="header")
    for name, type_ in (*needed.items(), *known.items()):
        if types.get(name, type_) != type_:
            raise refuse(f"{path.name}: {name} must be of type {type_}", field="header")
    return Header(types=types, end=end)
