"""Files of rows, one a line or as CSV, by the names of their columns."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from app.adapters.datasets.lines import raw_lines, read_records, refuse
from app.domain.errors import InvalidInputError
from app.ports.dataset import START, BadLine, Position

Record = TypeVar("Record")
Row = Mapping[str, str]
_SEPARATORS: Final = ",;\t|"
_UNDECODED: Final = range(0xDC80, 0xDD00)


@dataclass(frozen=True, slots=True)
class Table:
    """A file of rows.

    Args:
        path: of the file.
        columns: names, in file order.
        separator: between cells.
        encoding: of the file.
        end: the position behind the header.
        is_csv: whether cells may stand in quotation marks, and then hold anything (RFC 4180).
    """

    path: Path
    columns: Sequence[str]
    separator: str
    encoding: str = "utf-8"
    end: Position = START
    is_csv: bool = False

    def read(
        self, make: Callable[[Row, Position], Record | None], *, after: Position
    ) -> Iterator[Record | BadLine]:
        """Yield what ``make`` returns for each row behind ``after``; see ``read_records``."""
        after = max(after, self.end)
        if self.is_csv:
            yield from self._read_csv(make, after=after)
        else:
            yield from read_records(
                self.path,
                make=lambda text, position: make(self._row(self._cells(text)), position),
                after=after,
                encoding=self.encoding,
            )

    def _cells(self, text: str) -> list[str]:
        # Some files have blanks in their header only.
        return text.split("\t" if self.separator == " " and "\t" in text else self.separator)

    def _row(self, cells: list[str]) -> dict[str, str]:
        if len(cells) != len(self.columns):
            raise refuse(f"must have {len(self.columns)} columns, has {len(cells)}", field="line")
        return dict(zip(self.columns, cells, strict=True))

    def _read_csv(
        self, make: Callable[[Row, Position], Record | None], *, after: Position
    ) -> Iterator[Record | BadLine]:
        for cells, position in _csv_rows(self, after=after):
            try:
                record = make(self._row(_readable(cells, encoding=self.encoding)), position)
            except InvalidInputError as error:
                yield BadLine(self.path.name, position, error.message)
            else:
                if record is not None:
                    yield record


def open_csv(path: Path, *, encoding: str) -> Table:
    """Return the table in a CSV file; its first row names the columns.

    The separator is the one of comma, semicolon, tab and bar that the first line has most of.

    Raises:
        InvalidInputError: there is no such row, or two columns have one name.
    """
    line, _ = next(raw_lines(path))
    separator = max(_SEPARATORS, key=line.decode("latin-1").count)
    bare = Table(path, (), separator, encoding, is_csv=True)
    cells, end = next(_csv_rows(bare, after=START), (None, START))
    columns = [cell.strip() for cell in _readable(cells, encoding=encoding)]
    if len(set(columns)) < len(columns):
        raise refuse(f"{path.name}: two columns have the same name", field="header")
    return Table(path, columns, separator, encoding, end, is_csv=True)


def _csv_rows(table: Table, *, after: Position) -> Iterator[tuple[list[str] | None, Position]]:
    """Yield the cells of each row, None where its quotation marks do not fit, and the position.

    Bytes that are not in the table's encoding become lone surrogates, so that the rows behind are
    read all the same.
    """
    reached = after

    def texts() -> Iterator[str]:
        nonlocal reached
        for raw, reached in raw_lines(table.path, after=after):
            text = raw.decode(table.encoding, errors="surrogateescape")
            yield text.removeprefix("\ufeff") if reached.line == 1 else text

    rows = csv.reader(texts(), delimiter=table.separator, strict=True)
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error:
            yield None, reached
        else:
            if cells:
                yield cells, reached


def _readable(cells: list[str] | None, *, encoding: str) -> list[str]:
    """Return ``cells``.

    Raises:
        InvalidInputError: there are none, or bytes in them are not in the encoding.
    """
    if cells is None:
        raise refuse("a quotation mark is not closed, or stands within a text", field="line")
    for cell in cells:
        if not cell.isascii() and any(ord(char) in _UNDECODED for char in cell):
            raise refuse(f"is not {encoding.upper()}", field="line")
    return cells
