"""Cells of separated files, with errors that name the column and not what it holds."""

from __future__ import annotations

from datetime import UTC, datetime

from app.adapters.datasets.lines import refuse


def split(text: str, *, separator: str, n_columns: int) -> list[str]:
    """Return the ``n_columns`` cells of a line.

    Raises:
        InvalidInputError: there are fewer or more.
    """
    cells = text.split(separator)
    if len(cells) != n_columns:
        raise refuse(f"must have {n_columns} columns, has {len(cells)}", field="line")
    return cells


def number(text: str, *, column: str) -> float:
    """Return the number in a cell.

    Raises:
        InvalidInputError: it holds none.
    """
    try:
        # float() also reads 1_000, which no data set means.
        return float(text.replace("_", "?"))
    except ValueError as error:
        raise refuse("is not a number", field=column) from error


def moment(text: str, *, column: str) -> str:
    """Return seconds since 1970 as ISO 8601 in UTC.

    Raises:
        InvalidInputError: the cell holds no number, or one beyond the years 1 to 9999.
    """
    seconds = number(text, column=column)
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise refuse("is not a time in seconds since 1970", field=column) from error
