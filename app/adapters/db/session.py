"""One open transaction as the repositories see it, and the few places where dialects differ."""

from __future__ import annotations

import json
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Executable, FromClause, Row, Table
from sqlalchemy.dialects import postgresql, sqlite

from app.adapters.db.types import moment_of

_STREAM_ROWS: Final = 1_000  # fetched at once by a streaming read
_VALUES: Final = "listed_values"

Parameters = Mapping[str, object] | Sequence[Mapping[str, object]]
Record = Row[*tuple[Any, ...]]
Insert = postgresql.Insert | sqlite.Insert


@dataclass(frozen=True, slots=True)
class Session:
    """A connection inside a transaction.

    Args:
        is_postgres: otherwise SQLite.
    """

    connection: Connection
    is_postgres: bool

    def rows(self, statement: Executable, parameters: Parameters | None = None) -> Sequence[Record]:
        """Execute and return all rows."""
        return self.connection.execute(statement, parameters).all()

    def briefly(
        self, statement: sa.Select[*tuple[Any, ...]], parameters: Mapping[str, object]
    ) -> Sequence[Any]:
        """Execute and return all rows, on SQLite by the driver alone, in a sixth of the time.

        For what each answer asks twice. What the driver refuses is asked once more by SQLAlchemy,
        which has words for it.

        Args:
            statement: a constant, for it is kept as text.
            parameters: strings, numbers and None.
        """
        driver: object = self.connection.connection.dbapi_connection
        if isinstance(driver, sqlite3.Connection):
            brief = _as_text(statement)
            told = [parameters.get(name, value) for name, value in brief.parameters]
            try:
                return list(map(brief.row, driver.execute(brief.text, told).fetchall()))
            except sqlite3.Error:
                pass
        return self.rows(statement, parameters)

    def plain(self, statement: Executable) -> Sequence[tuple[Any, ...]]:
        """Execute and return all rows as the driver gives them, moments as they are stored.

        In half the time of ``rows``: for what is read in hundreds at each write.
        """
        with self.connection.execute(statement) as result:
            return list(result.cursor.fetchall())

    def first(self, statement: Executable, parameters: Parameters | None = None) -> Record | None:
        """Execute and return the first row, or None."""
        return self.connection.execute(statement, parameters).first()

    def number(self, statement: Executable) -> int:
        """Execute and return the one number that it yields."""
        return int(self.connection.execute(statement).scalar_one())

    def changed(self, statement: Executable, parameters: Parameters | None = None) -> int:
        """Execute and return how many rows it changed."""
        return self.connection.execute(statement, parameters).rowcount

    def stream(self, statement: Executable) -> Iterator[Record]:
        """Execute and yield rows in constant memory (a server-side cursor on PostgreSQL)."""
        options = {"yield_per": _STREAM_ROWS}
        with self.connection.execute(statement, execution_options=options) as result:
            yield from result

    def unread(
        self, moment: ColumnElement[Any]
    ) -> tuple[ColumnElement[Any], Callable[[Any], datetime]]:
        """Return a moment as the driver tells it, and what reads it."""
        if self.is_postgres:
            return moment, _in_utc
        return sa.type_coerce(moment, sa.BigInteger), moment_of

    def insert(self, table: Table) -> Insert:
        """Return an INSERT that knows ON CONFLICT."""
        return postgresql.insert(table) if self.is_postgres else sqlite.insert(table)

    def insert_new(
        self, table: Table, rows: Sequence[Mapping[str, object]], *, keys: Sequence[str]
    ) -> int:
        """Insert rows, but for those whose ``keys`` are there already; return how many.

        The driver gets the values as it takes them: SQLAlchemy's own way costs more than SQLite.

        Args:
            table: where.
            rows: values by column, of the same columns each.
            keys: the columns of a unique constraint.
        """
        if self.is_postgres or not rows:
            insert = self.insert(table).on_conflict_do_nothing(index_elements=keys)
            counted = insert.execution_options(preserve_rowcount=True)
            return self.changed(counted, rows) if rows else 0
        dialect = self.connection.dialect
        statement, columns = _plain_insert(table, tuple(rows[0]), tuple(keys))
        read = [
            (one.name, one.type.dialect_impl(dialect).bind_processor(dialect)) for one in columns
        ]
        values = [tuple([told(row[c]) if told else row[c] for c, told in read]) for row in rows]
        return self.connection.exec_driver_sql(statement, values).rowcount

    def within(self, column: ColumnElement[Any], values: Collection[str]) -> ColumnElement[bool]:
        """Return ``column IN values`` with one parameter, whatever the number of values.

        One parameter for each value would exceed the databases' limits (32,766 and 65,535) and
        compile a statement for each number of values.
        """
        told: sa.BindParameter[Any] = sa.bindparam(None, self.listed(values)[_VALUES], unique=True)
        return _among(column, told, is_postgres=self.is_postgres)

    def in_partitions(
        self, column: ColumnElement[Any], *, of: Collection[str] | None
    ) -> ColumnElement[bool]:
        """Return a condition that holds anyway, for rows of these users alone are asked for.

        It spares PostgreSQL the partitions of everybody else, and waiting for who writes one anew.
        """
        return self.within(column, of) if self.is_postgres and of is not None else sa.true()

    def pairs(self, values: Collection[tuple[str, str]]) -> FromClause:
        """Return a table of these pairs, columns ``first`` and ``second``, in two parameters."""
        if self.is_postgres:
            texts = postgresql.ARRAY(sa.Text)
            sides = [sa.cast([pair[side] for pair in values], texts) for side in (0, 1)]
            return sa.func.unnest(*sides).table_valued("first", "second").render_derived()
        told = sa.func.json_each(json.dumps(list(values))).table_valued("value")
        parts = [sa.func.json_extract(told.c.value, f"$[{side}]") for side in (0, 1)]
        return sa.select(parts[0].label("first"), parts[1].label("second")).subquery()

    def later(self, moment: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return a moment, and a microsecond."""
        if self.is_postgres:
            return moment + sa.text("INTERVAL '1 microsecond'")
        return sa.type_coerce(sa.type_coerce(moment, sa.BigInteger) + 1, moment.type)

    def listed(self, values: Collection[str]) -> dict[str, object]:
        """Return the parameters of a statement with ``among``."""
        return {_VALUES: list(values) if self.is_postgres else json.dumps(list(values))}


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Repository:
    """Some tables as a port of ``app.ports.persistence``, inside one transaction."""

    session: Session


def among(column: ColumnElement[Any], *, is_postgres: bool) -> ColumnElement[bool]:
    """Return ``Session.within`` for a statement that is built once and used with any values.

    Building a statement takes longer than SQLite takes to answer it.
    """
    return _among(column, sa.bindparam(_VALUES), is_postgres=is_postgres)


def _among(
    column: ColumnElement[Any], told: sa.BindParameter[Any], *, is_postgres: bool
) -> ColumnElement[bool]:
    if is_postgres:
        return column == sa.any_(sa.type_coerce(told, postgresql.ARRAY(sa.String)))
    table = sa.func.json_each(told).table_valued("value")
    return column.in_(sa.select(table.c.value))


class _Brief(NamedTuple):
    """A SELECT as SQLite's driver takes it, and what makes a row of what it gives."""

    text: str
    parameters: Sequence[tuple[str, object]]
    row: Callable[[Sequence[object]], object]


@cache
def _as_text(statement: sa.Select[*tuple[Any, ...]]) -> _Brief:
    dialect = sqlite.dialect(paramstyle="qmark")
    compiled = statement.compile(dialect=dialect)
    columns = statement.selected_columns
    names = [one.name for one in columns]
    made = namedtuple("made", names)  # type: ignore[misc]  # noqa: PYI024 - the statement says them
    read = [one.type.dialect_impl(dialect).result_processor(dialect, None) for one in columns]

    def row(found: Sequence[object]) -> object:
        return made(
            *[tell(value) if tell else value for tell, value in zip(read, found, strict=True)]
        )

    parameters = [(name, compiled.params[name]) for name in compiled.positiontup or ()]
    return _Brief(str(compiled), parameters, row)


@cache
def _plain_insert(
    table: Table, names: tuple[str, ...], keys: tuple[str, ...]
) -> tuple[str, list[sa.Column[Any]]]:
    """Return SQLite's INSERT of a row, and the columns in the order of its values."""
    insert = sqlite.insert(table).values(dict.fromkeys(names))
    insert = insert.on_conflict_do_nothing(index_elements=keys)
    columns = [column for column in table.c if column.name in names]
    return str(insert.compile(dialect=sqlite.dialect(paramstyle="qmark"))), columns
