"""Reads ``where`` documents: MongoDB's operators on the attributes of items.

``{"genres": "Action", "year": {"$gte": 1970, "$lt": 1980}, "$or": [{"stock": {"$gt": 0}}, …]}``.
Several keys, and several operators of one field, must all hold. Messages name paths and limits,
never values.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from itertools import islice
from typing import Final, TypeGuard

from app.domain.errors import FieldError, InvalidInputError
from app.domain.recommendation.filter import (
    BUILT_IN,
    AllOf,
    AnyOf,
    Clause,
    Compares,
    Exists,
    Expression,
    Field,
    IsIn,
    Not,
    Order,
    Scalar,
    Type,
    Where,
    instant,
    scalar_of,
)

MAX_CONDITIONS: Final = 64
MAX_DEPTH: Final = 8
MAX_VALUES: Final = 1_000
"""In all ``$in`` and ``$nin`` of a document together."""
MAX_TEXT_CHARS: Final = 512
_MAX_NAME_CHARS: Final = 128
_MAX_WHOLE: Final = 2**53
_MAX_SEARCHED_NAMES: Final = 2_000
"""Nearest names are looked for among so many; comparing one takes some 10 µs."""
_ATTRIBUTES: Final = "attributes."
_RELATIVE: Final = re.compile(r"([+-][0-9]{1,5})([dh])")
_FIELD_OPERATORS: Final = (
    *("$eq", "$ne", "$in", "$nin", "$contains", "$exists", "$not"),
    *Order,
)
_GROUPS: Final = ("$and", "$or", "$nor")


def parse_where(
    document: object,
    *,
    now: datetime,
    attributes: Collection[str] | None,
    path: str = "where",
) -> Where:
    """Read a filter.

    Args:
        document: parsed JSON.
        now: aware; what ``"-30d"`` and ``"+12h"`` count from. They stand for an instant after
            ``$lt``, ``$lte``, ``$gt`` and ``$gte`` on anything but ids and titles.
        attributes: the names that the catalogue has; others are refused. None takes any name,
            for a filter that is kept longer than a catalogue stays as it is.
        path: of the document in the request; begins the path of every error and clause.

    Raises:
        InvalidInputError: the first thing that is wrong.
    """
    return Where(tuple(_Parser(now=now, attributes=attributes).clauses(document, path, depth=1)))


class _Parser:
    """Reads one document, and counts its conditions and values."""

    def __init__(self, *, now: datetime, attributes: Collection[str] | None) -> None:
        self._now = now
        self._attributes = attributes
        self._n_conditions = 0
        self._n_values = 0

    def clauses(self, document: object, path: str, *, depth: int) -> list[Clause]:
        """Return what must all hold; ``$and`` is dissolved into its parts."""
        if depth > MAX_DEPTH:
            raise _wrong(path, f"must not be nested deeper than {MAX_DEPTH}")
        if not isinstance(document, Mapping):
            raise _wrong(path, "must be a JSON object of fields and operators")
        if not document:
            self._count(path)  # of many empty objects each costs a little, too
        found: list[Clause] = []
        for name, operand in document.items():
            here = f"{path}.{_printable(name)}"
            if name in _GROUPS:
                found += self._group(name, operand, here, depth=depth)
            elif name == "$not":
                found.append(Clause(here, Not(self._inner(operand, here, depth=depth))))
            elif name.startswith("$"):
                raise _wrong(
                    here, f"unknown operator; here stand {', '.join(_GROUPS)}, $not or a field"
                )
            else:
                found += self._conditions(self._field(name, here), operand, here, depth=depth)
        return found

    def _inner(self, document: object, path: str, *, depth: int) -> Expression:
        return AllOf(tuple(one.expression for one in self.clauses(document, path, depth=depth + 1)))

    def _group(self, name: str, operand: object, path: str, *, depth: int) -> list[Clause]:
        if not _is_list(operand) or not operand:
            raise _wrong(path, "must be a list of at least one JSON object")
        places = [(one, f"{path}.{number}") for number, one in enumerate(operand)]
        if name == "$and":
            parts = [self.clauses(one, place, depth=depth + 1) for one, place in places]
            return [clause for part in parts for clause in part]
        some = AnyOf(tuple(self._inner(one, place, depth=depth) for one, place in places))
        return [Clause(path, Not(some) if name == "$nor" else some)]

    def _field(self, name: str, path: str) -> Field:
        if name in BUILT_IN:
            return Field(name, is_built_in=True)
        attribute = name.removeprefix(_ATTRIBUTES)
        if len(attribute) > _MAX_NAME_CHARS or _has_control(attribute):
            raise _wrong(path, f"must be a printable name of at most {_MAX_NAME_CHARS} characters")
        if self._attributes is not None and attribute not in self._attributes:
            raise _wrong(path, f"no item has this attribute{self._nearest(attribute)}")
        return Field(attribute)

    def _nearest(self, name: str) -> str:
        known = [*BUILT_IN, *islice(self._attributes or (), _MAX_SEARCHED_NAMES)]
        by_fold = {one.casefold(): one for one in reversed(known)}
        near = get_close_matches(name.casefold(), by_fold, n=3, cutoff=0.5)
        named = ", ".join(_printable(by_fold[one]) for one in near)
        return f"; the nearest names are {named}" if near else ""

    def _conditions(self, field: Field, operand: object, path: str, *, depth: int) -> list[Clause]:
        if depth > MAX_DEPTH:
            raise _wrong(path, f"must not be nested deeper than {MAX_DEPTH}")
        if not isinstance(operand, Mapping):
            self._count(path)
            return [Clause(path, IsIn(field, frozenset({self._value(field, operand, path)})))]
        if not operand:
            raise _wrong(path, "must name an operator, such as $eq")
        found: list[Clause] = []
        for operator, value in operand.items():
            here = f"{path}.{_printable(operator)}"
            if operator == "$not":
                if not isinstance(value, Mapping):
                    raise _wrong(here, "must be a JSON object of operators")
                inner = self._conditions(field, value, here, depth=depth + 1)
                expression: Expression = Not(AllOf(tuple(one.expression for one in inner)))
            else:
                self._count(here)
                expression = self._condition(field, operator, value, here)
            found.append(Clause(here, expression))
        return found

    def _condition(self, field: Field, operator: str, operand: object, path: str) -> Expression:
        match operator:
            case "$eq" | "$contains":
                return IsIn(field, frozenset({self._value(field, operand, path)}))
            case "$ne":
                return Not(IsIn(field, frozenset({self._value(field, operand, path)})))
            case "$in":
                return IsIn(field, self._values(field, operand, path))
            case "$nin":
                return Not(IsIn(field, self._values(field, operand, path)))
            case "$exists":
                if not isinstance(operand, bool):
                    raise _wrong(path, "must be true or false")
                return Exists(field) if operand else Not(Exists(field))
            case Order.LT | Order.LTE | Order.GT | Order.GTE:
                return self._comparison(field, Order(operator), operand, path)
            case _:
                raise _wrong(path, f"unknown operator; known are {', '.join(_FIELD_OPERATORS)}")

    def _comparison(self, field: Field, order: Order, operand: object, path: str) -> Compares:
        relative = None if _is_text(field) else _RELATIVE.fullmatch(str(operand))
        if isinstance(operand, str) and relative:
            amount = int(relative[1])
            shift = timedelta(days=amount) if relative[2] == "d" else timedelta(hours=amount)
            bound = self._typed(field, instant(self._now + shift), path)
        else:
            bound = self._value(field, operand, path)
        if bound.type is Type.BOOLEAN:
            raise _wrong(path, "must be a number, a string or a date; booleans have no order")
        return Compares(field, order, bound)

    def _values(self, field: Field, operand: object, path: str) -> frozenset[Scalar]:
        if not _is_list(operand):
            raise _wrong(path, "must be a list of values")
        self._n_values += len(operand)
        if self._n_values > MAX_VALUES:
            raise _wrong(path, f"all lists together must have at most {MAX_VALUES} values")
        return frozenset(
            self._value(field, one, f"{path}.{number}") for number, one in enumerate(operand)
        )

    def _value(self, field: Field, operand: object, path: str) -> Scalar:
        match operand:
            case bool():
                return self._typed(field, scalar_of(operand), path)
            case int() | float() if _is_exact(operand):
                return self._typed(field, scalar_of(operand), path)
            case int() | float():
                raise _wrong(path, "must be a finite number, if whole within ±2**53")
            case str() if len(operand) > MAX_TEXT_CHARS or _has_control(operand):
                raise _wrong(path, f"must be at most {MAX_TEXT_CHARS} printable characters")
            case str():
                return self._typed(field, scalar_of(operand, is_text=_is_text(field)), path)
            case None:
                raise _wrong(path, 'must not be null; {"$exists": false} finds what is missing')
            case _:
                raise _wrong(path, "must be a string, a number or a boolean; $in takes a list")

    def _typed(self, field: Field, value: Scalar, path: str) -> Scalar:
        expected = BUILT_IN[field.name].type if field.is_built_in else value.type
        if value.type is not expected:
            raise _wrong(path, f"must be of the type {expected.name.lower()}")
        return value

    def _count(self, path: str) -> None:
        self._n_conditions += 1
        if self._n_conditions > MAX_CONDITIONS:
            raise _wrong(path, f"a filter must have at most {MAX_CONDITIONS} conditions")


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list | tuple)


def _is_text(field: Field) -> bool:
    return field.is_built_in and BUILT_IN[field.name].type is Type.TEXT


def _is_exact(value: float) -> bool:
    return abs(value) <= _MAX_WHOLE if isinstance(value, int) else math.isfinite(value)


def _has_control(text: str) -> bool:
    """Whether databases would refuse the text, or a terminal obey it."""
    return not text.isprintable() and any(
        unicodedata.category(char) in {"Cc", "Cs"} for char in text
    )


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name[:64])


def _wrong(path: str, message: str) -> InvalidInputError:
    return InvalidInputError(FieldError(path, message))
