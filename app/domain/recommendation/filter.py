"""What ``where`` means: its expressions, the types of values, and the plain evaluation of both.

``matches`` is the executable specification. The masks of ``columns.py`` answer the same, and so
does SQL (``benchmarks/where``), which a property test holds them to. Read a document with
``filter_parser.parse_where``.

The rules are MongoDB's: a condition holds for a list if it holds for any element; a missing
attribute meets no condition, and so every negated one; values of two types are never compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from operator import ge, gt, le, lt
from typing import Any, Final, NamedTuple

from app.domain.models import Item

_DAY: Final = (
    r"[1-9][0-9]{3}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    r"|[1-9][0-9]{3}-(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|[1-9][0-9]{3}-02-(0[1-9]|1[0-9]|2[0-8])"
    r"|([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29"
)
_TIME_OF_DAY: Final = r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
_ZONE: Final = r"Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00)"
INSTANT: Final = rf"^({_DAY})({_TIME_OF_DAY}({_ZONE})?)?\Z"
"""Texts that are read as instants, in the common subset of Python's and PostgreSQL's patterns:
``2026-01-31``, ``2026-01-31T12:00:00``, with up to six digits of a second and a zone. Only days
of the calendar from the year 1000 on. A text without a zone is UTC."""
_INSTANT: Final = re.compile(INSTANT)
RawValue = bool | int | float | str | datetime
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Type(IntEnum):
    """The types of values. Two values of different types are neither equal nor in any order."""

    BOOLEAN = 0
    NUMBER = 1
    TEXT = 2
    INSTANT = 3

    __hash__ = int.__hash__  # Enum's hashes the name, ten times slower


class Scalar(NamedTuple):
    """A value with its type.

    Args:
        value: bool; float, so that 1 equals 1.0; str, in the order of code points; or int,
            microseconds since 1970, so that one instant has one value in every zone.
    """

    type: Type
    value: Any


class Order(StrEnum):
    """The comparisons that need an order."""

    LT = "$lt"
    LTE = "$lte"
    GT = "$gt"
    GTE = "$gte"


COMPARE: Final[Mapping[Order, Callable[[Any, Any], Any]]] = {
    Order.LT: lt,
    Order.LTE: le,
    Order.GT: gt,
    Order.GTE: ge,
}


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """An item with what the catalogue itself knows of it.

    Args:
        available: whether it may be shown.
        updated_at: when its content last changed, aware.
    """

    item: Item
    updated_at: datetime
    available: bool = True


class Field(NamedTuple):
    """What a condition is about: a built-in field, or an attribute of that name."""

    name: str
    is_built_in: bool = False


@dataclass(frozen=True, slots=True)
class IsIn:
    """Some value of the field is one of these."""

    field: Field
    values: frozenset[Scalar]


@dataclass(frozen=True, slots=True)
class Compares:
    """Some value of the field has the bound's type and lies on this side of it."""

    field: Field
    order: Order
    bound: Scalar


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there, even as an empty list."""

    field: Field


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds; none of none fails."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Some part holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Expression


Expression = IsIn | Compares | Exists | AllOf | AnyOf | Not


class Clause(NamedTuple):
    """One of the conditions that must all hold, and its place, such as ``where.price.$lt``."""

    path: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Where:
    """A whole filter: every clause holds. Without clauses everything matches."""

    clauses: tuple[Clause, ...] = ()

    def __and__(self, other: Where) -> Where:
        """Return the filter that both must let pass, as a scenario's and the caller's."""
        return Where(self.clauses + other.clauses)


class BuiltIn(NamedTuple):
    """A field that every item has: the one type of its values, and where they stand."""

    type: Type
    read: Callable[[CatalogueEntry], RawValue]


BUILT_IN: Final[Mapping[str, BuiltIn]] = {
    "item_id": BuiltIn(Type.TEXT, lambda entry: entry.item.item_id),
    "title": BuiltIn(Type.TEXT, lambda entry: entry.item.title),
    "available": BuiltIn(Type.BOOLEAN, lambda entry: entry.available),
    "updated_at": BuiltIn(Type.INSTANT, lambda entry: entry.updated_at),
}
"""An attribute of the same name is asked for as ``attributes.title``."""


def instant(moment: datetime) -> Scalar:
    """Return an aware time as a value."""
    return Scalar(Type.INSTANT, (moment - _EPOCH) // _MICROSECOND)


def scalar_of(value: RawValue, *, is_text: bool = False) -> Scalar:
    """Return an attribute's value, or an operand, with its type.

    A text that is an ISO date or time is an instant, unless ``is_text``: ids and titles are texts
    whatever they look like. Numbers are finite, whole ones within 2**53 (the wire forms see to
    it), so float holds them exactly.
    """
    match value:
        case bool():
            return Scalar(Type.BOOLEAN, value)
        case datetime():
            return instant(value)
        case str() if not is_text and value[4:5] == "-" and _INSTANT.match(value):
            moment = datetime.fromisoformat(value)
            return instant(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        case str():
            return Scalar(Type.TEXT, value)
        case _:
            return Scalar(Type.NUMBER, float(value))


def values_of(entry: CatalogueEntry, field: Field) -> tuple[Scalar, ...] | None:
    """Return the field's values, several for a list; None where the attribute is missing."""
    if field.is_built_in:
        built_in = BUILT_IN[field.name]
        return (scalar_of(built_in.read(entry), is_text=built_in.type is Type.TEXT),)
    value = entry.item.attributes.get(field.name)
    match value:
        case None:
            return None
        case bool() | int() | float() | str():
            return (scalar_of(value),)
        case _:
            return tuple(map(scalar_of, value))


def matches(where: Where, entry: CatalogueEntry) -> bool:
    """Return whether the filter lets the item pass."""
    return all(_holds(clause.expression, entry) for clause in where.clauses)


def _holds(expression: Expression, entry: CatalogueEntry) -> bool:
    match expression:
        case IsIn(field, wanted):
            return any(value in wanted for value in values_of(entry, field) or ())
        case Compares(field, order, bound):
            return any(
                value.type is bound.type and COMPARE[order](value.value, bound.value)
                for value in values_of(entry, field) or ()
            )
        case Exists(field):
            return values_of(entry, field) is not None
        case AllOf(parts):
            return all(_holds(part, entry) for part in parts)
        case AnyOf(parts):
            return any(_holds(part, entry) for part in parts)
        case Not(part):
            return not _holds(part, entry)
