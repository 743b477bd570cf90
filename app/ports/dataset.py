"""What a data set yields, and what it can say about itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from app.domain.models import Item, ReportedInteraction


class DatasetKind(StrEnum):
    """What to read; demo alone needs no path."""

    DEMO = "demo"
    ML_100K = "ml-100k"
    MOVIELENS = "movielens"
    CSV = "csv"
    NDJSON = "ndjson"
    RECBOLE = "recbole"
    EXPORT = "export"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """How far a data set has been read: what a loader remembers in order to go on later.

    Args:
        line: lines read so far, so also the 1-based number of the last line read.
        offset: bytes read so far, in a file; records so far, in a set that is no file.
    """

    line: int
    offset: int


START: Final = Position(line=0, offset=0)


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """A catalogue entry, and the position just behind it.

    Args:
        left_out: each attribute (or other field) that could not be kept, and what is wrong with
            it; never a value.
    """

    item: Item
    position: Position
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InteractionRecord:
    """An interaction, and the position just behind it."""

    interaction: ReportedInteraction
    position: Position


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that could not be read; the lines behind it are read all the same.

    Args:
        file: name of the file, without its folders.
        message: what is wrong; names fields and limits, never values, which may be personal.
    """

    file: str
    position: Position
    message: str

    @property
    def line(self) -> int:
        """1-based number of the line in its file."""
        return self.position.line


class Dataset(Protocol):
    """Items and interactions that can be read piece by piece, and again from a position.

    Both readers yield every record whose position is beyond ``after``, in file order. They hold
    one line at a time. Each event id follows from the content of its row, so reading a part
    twice gives events that ingest counts as duplicates.
    """

    @property
    def remarks(self) -> tuple[str, ...]:
        """What of the data set is not loaded, and why: a sentence each, for the operator."""

    @property
    def file_names(self) -> tuple[str, str]:
        """The names of the files, without folders, of items and of interactions."""

    @property
    def items_total(self) -> int:
        """The offset that the last item will have; 0 where the set has no items."""

    @property
    def interactions_total(self) -> int:
        """The offset that the last interaction will have; 0 where the set has none."""

    def items(self, *, after: Position = START) -> Iterator[ItemRecord | BadLine]:
        """Yield the catalogue.

        Raises:
            InvalidInputError: the file cannot be read, or ``after`` is no line end of it.
        """

    def interactions(self, *, after: Position = START) -> Iterator[InteractionRecord | BadLine]:
        """Yield the interactions.

        Raises:
            InvalidInputError: the file cannot be read, or ``after`` is no line end of it.
        """
