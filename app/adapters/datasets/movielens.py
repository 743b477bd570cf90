"""MovieLens 100K as GroupLens publishes it: tab and pipe separated files in one folder.

Source: F. Maxwell Harper and Joseph A. Konstan, The MovieLens Datasets: History and Context,
ACM TiiS 5(4), 2015; the layout of the files is that of the README of the data set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from app.adapters.datasets.columns import moment, number, split
from app.adapters.datasets.lines import file_size, read_records, refuse
from app.domain.models import Kind
from app.ports.dataset import (
    START,
    BadLine,
    InteractionRecord,
    ItemRecord,
    Position,
)
from app.wire.schemas import interaction_from_wire, item_from_wire

GENRES: Final = (
    None,  # "unknown": says nothing about the film
    *("Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller"),
    *("War", "Western"),
)
_N_ITEM_COLUMNS: Final = 5 + len(GENRES)
_N_RATING_COLUMNS: Final = 4
_ESCAPED: Final = re.compile(r"\\([89A-F][0-9A-F])")
"""How some copies of u.item, made pure ASCII on their way, write a Latin-1 character."""
_YEAR: Final = re.compile(r"\((\d{4})\)\s*$")


class MovieLensDataset:
    """The folder ml-100k: u.item (Latin-1) and u.data; u.user is never opened.

    Args:
        path: the folder.
        now: the present, aware UTC; no rating may be younger.

    Raises:
        InvalidInputError: u.item or u.data is missing or empty.
    """

    def __init__(self, path: Path, *, now: datetime) -> None:
        if not path.is_dir():
            raise refuse("must be the folder with u.data and u.item")
        self._now = now
        self._items = path / "u.item"
        self._ratings = path / "u.data"
        self.items_total = file_size(self._items)
        self.interactions_total = file_size(self._ratings)
        self.remarks: tuple[str, ...] = (
            ("u.user is not loaded: Lethe keeps no age, gender, occupation or address of anyone.",)
            if (path / "u.user").exists()
            else ()
        )

    def items(self, *, after: Position = START) -> Iterator[ItemRecord | BadLine]:
        """Yield the films, with genres and year as attributes; see Dataset."""
        return read_records(self._items, make=_item, after=after, encoding="latin-1")

    def interactions(self, *, after: Position = START) -> Iterator[InteractionRecord | BadLine]:
        """Yield the ratings; see Dataset."""
        return read_records(self._ratings, make=self._rating, after=after)

    def _rating(self, text: str, position: Position) -> InteractionRecord:
        user, item, rating, timestamp = split(text, separator="\t", n_columns=_N_RATING_COLUMNS)
        wire = {
            "event_id": f"ml-100k:{user}:{item}",  # a user rates a film once
            "user": user,
            "item_id": item,
            "kind": Kind.RATING.value,
            "value": number(rating, column="rating"),
            "occurred_at": moment(timestamp, column="timestamp"),
        }
        return InteractionRecord(interaction_from_wire(wire, now=self._now), position)


def _item(text: str, position: Position) -> ItemRecord:
    item_id, title, release_date, _, _, *flags = split(
        text, separator="|", n_columns=_N_ITEM_COLUMNS
    )
    if not set(flags) <= {"0", "1"}:
        raise refuse("every genre must be 0 or 1", field="genres")
    title = _ESCAPED.sub(lambda match: chr(int(match[1], base=16)), title)
    pairs = zip(GENRES, flags, strict=True)
    attributes: dict[str, object] = {
        "genres": [name for name, flag in pairs if name and flag == "1"]
    }
    if year := _YEAR.search(title):
        attributes["year"] = int(year[1])
    elif release_date[-4:].isdecimal():
        attributes["year"] = int(release_date[-4:])
    return ItemRecord(
        item_from_wire({"item_id": item_id, "title": title, "attributes": attributes}), position
    )
