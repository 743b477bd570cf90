"""A ``where`` filter as SQL over the item table: what masks are compared with.

Equal to the masks of the columns, and slower by orders of magnitude (ADR 0032).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import ColumnElement, FromClause
from sqlalchemy.dialects.postgresql import JSONB

from app.domain.recommendation.filter import (
    COMPARE,
    INSTANT,
    AllOf,
    AnyOf,
    Compares,
    Exists,
    Expression,
    Field,
    IsIn,
    Not,
    Scalar,
    Type,
    Where,
)

Value = ColumnElement[Any]
Test = Callable[[Value], ColumnElement[bool]]
_KINDS: Final[Mapping[Type, tuple[str, ...]]] = {
    Type.BOOLEAN: ("true", "false", "boolean"),
    Type.NUMBER: ("integer", "real", "number"),
    Type.TEXT: ("text", "string"),
    Type.INSTANT: ("text", "string"),
}
"""What SQLite's ``json_each`` and PostgreSQL's ``jsonb_typeof`` call the types."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_ZONED: Final = r"(Z|[+-][0-9]{2}:[0-9]{2})\Z"
_MICROSECONDS: Final = 1_000_000
_BEFORE_ZONE: Final = len("2026-01-31T12:00:00")


@dataclass(frozen=True, slots=True)
class FilterSql:
    """Compiles filters for one table.

    Args:
        table: has the built-in fields that are asked for, and ``attributes`` (JSON).
        is_postgres: otherwise SQLite.
    """

    table: FromClause
    is_postgres: bool

    def condition(self, where: Where) -> ColumnElement[bool]:
        """Return the filter as a condition on rows of the table; it is never NULL."""
        return self._all(clause.expression for clause in where.clauses)

    def _all(self, parts: Iterable[Expression]) -> ColumnElement[bool]:
        return sa.and_(sa.true(), *map(self._holds, parts))

    def _holds(self, expression: Expression) -> ColumnElement[bool]:
        match expression:
            case IsIn(field, values):
                by_type = defaultdict(list)
                for one in values:
                    by_type[one.type].append(self._operand(field, one))
                return self._some(field, {kind: _among(each) for kind, each in by_type.items()})
            case Compares(field, order, bound):
                operand = self._operand(field, bound)
                return self._some(field, {bound.type: lambda value: COMPARE[order](value, operand)})
            case Exists(field):
                return sa.true() if field.is_built_in else self._is_there(field)
            case AllOf(parts):
                return self._all(parts)
            case AnyOf(parts):
                return sa.or_(sa.false(), *map(self._holds, parts))
            case Not(part):
                return sa.not_(self._holds(part))

    def _some(self, field: Field, tests: Mapping[Type, Test]) -> ColumnElement[bool]:
        """Return whether some value of the field passes the test of its type."""
        if field.is_built_in:
            column = self.table.c[field.name]
            return sa.or_(sa.false(), *(t(self._ordered(k, column)) for k, t in tests.items()))
        source, kind, value = self._elements(field.name)
        passed = (test(self._typed(type_, kind, value)) for type_, test in tests.items())
        some = sa.select(sa.literal(1)).select_from(source).where(sa.or_(sa.false(), *passed))
        return some.correlate(self.table).exists()

    def _is_there(self, field: Field) -> ColumnElement[bool]:
        if self.is_postgres:
            held: Value = sa.cast(self.table.c.attributes, JSONB)[field.name]
            return held.is_not(None)
        names = sa.func.json_each(self.table.c.attributes).table_valued("key")
        return (
            sa.select(names.c.key).where(names.c.key == field.name).correlate(self.table).exists()
        )

    def _elements(self, name: str) -> tuple[FromClause, Value, Value]:
        """Return an attribute's values as rows: their source, JSON's type and the value.

        The value is text on PostgreSQL, and of its own type on SQLite.
        """
        if self.is_postgres:
            held = sa.cast(self.table.c.attributes, JSONB)[name]
            is_list = sa.func.jsonb_typeof(held) == "array"
            listed = sa.case((is_list, held), else_=sa.func.jsonb_build_array(held))
            rows = sa.func.jsonb_array_elements(listed).table_valued(sa.column("value", JSONB))
            return (
                rows,
                sa.func.jsonb_typeof(rows.c.value),
                rows.c.value.op("#>>", return_type=sa.Text())(sa.text("'{}'")),
            )
        named = sa.func.json_each(self.table.c.attributes).table_valued("key", "value", "type")
        is_list = named.c.type == "array"
        # A scalar is not looked at through a list: JSON that SQLite writes rounds to 15 digits.
        listed = sa.case((is_list, named.c.value), else_="[0]")
        rows = sa.func.json_each(listed).table_valued("value", "type")
        kind = sa.case((is_list, rows.c.type), else_=named.c.type)
        value = sa.case((is_list, rows.c.value), else_=named.c.value)
        return named.join(rows, named.c.key == name), kind, value

    def _typed(self, type_: Type, kind: Value, value: Value) -> Value:
        """Return the value as one of this type, NULL if it is of another."""
        is_type = kind.in_(_KINDS[type_])
        match type_:
            case Type.TEXT:
                is_text = sa.and_(is_type, sa.not_(value.regexp_match(INSTANT)))
                return self._ordered(type_, sa.case((is_text, value)))
            case Type.INSTANT:
                read = _postgres_instant if self.is_postgres else _sqlite_instant
                return sa.case((sa.and_(is_type, value.regexp_match(INSTANT)), read(value)))
            case Type.BOOLEAN if self.is_postgres:
                return sa.case((is_type, sa.cast(value, sa.Boolean)))
            case Type.NUMBER if self.is_postgres:
                return sa.case((is_type, sa.cast(value, sa.Double)))
            case _:
                return sa.case((is_type, value))

    def _ordered(self, type_: Type, value: Value) -> Value:
        """Return texts in the order of code points, as SQLite has them."""
        return value.collate("C") if type_ is Type.TEXT and self.is_postgres else value

    @staticmethod
    def _operand(field: Field, scalar: Scalar) -> object:
        if field.is_built_in and scalar.type is Type.INSTANT:
            return _EPOCH + timedelta(microseconds=min(scalar.value, _LATEST))
        return scalar.value


def _among(values: list[object]) -> Test:
    return lambda value: value.in_(values)


def _postgres_instant(text: Value) -> Value:
    zoned = sa.case((text.regexp_match(_ZONED), text), else_=text + " UTC")
    seconds = sa.extract("epoch", sa.cast(zoned, sa.DateTime(timezone=True)))
    return sa.cast(seconds * _MICROSECONDS, sa.BigInteger)


def _sqlite_instant(text: Value) -> Value:
    """Return microseconds since 1970; SQLite's own reading of fractions stops at milliseconds."""

    def number(first: int, length: int) -> Value:
        return sa.cast(sa.func.substr(text, first, length), sa.Integer)

    seconds = sa.cast(sa.func.strftime("%s", sa.func.substr(text, 1, 19)), sa.Integer)
    digits = sa.func.substr(text, 20, 7)  # with what follows, where the conversion stops
    fraction = sa.case(
        (sa.func.substr(text, 20, 1) == ".", sa.func.round(sa.cast(digits, sa.REAL) * 1e6)), else_=0
    )
    minutes = (number(-5, 2) * 60 + number(-2, 2)) * sa.case(
        (sa.func.substr(text, -6, 1) == "-", -1), else_=1
    )
    is_offset = sa.and_(sa.func.length(text) > _BEFORE_ZONE, sa.func.substr(text, -3, 1) == ":")
    offset = sa.case((is_offset, minutes * 60), else_=0)
    return (seconds - offset) * _MICROSECONDS + fraction
