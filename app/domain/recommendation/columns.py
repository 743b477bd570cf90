"""The catalogue as columns, so that a filter is one mask over all items before any is scored.

Holds nothing of a user, but all that items say: a deleted item must leave it with its snapshot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np

from app.domain.recommendation.column import Column, ColumnBuilder, Mask
from app.domain.recommendation.filter import (
    BUILT_IN,
    AllOf,
    AnyOf,
    CatalogueEntry,
    Compares,
    Exists,
    Expression,
    Field,
    IsIn,
    Not,
    Type,
    Where,
)


class Narrowing(NamedTuple):
    """What one clause of a filter did.

    Args:
        path: of the clause, such as ``where.price.$lt``.
        alone: how many of all items meet it.
        left: how many items meet it and every clause before it.
    """

    path: str
    alone: int
    left: int


def emptied_by(steps: Iterable[Narrowing]) -> Narrowing | None:
    """Return the clause that removed the last items; None if some are left, or none were there.

    Its ``alone`` tells a clause that nothing meets (0) from one that contradicts those before it.
    """
    return next((step for step in steps if step.left == 0), None)


@dataclass(frozen=True)
class Columns:
    """Every field of a snapshot of the catalogue. Never changes.

    Args:
        entries: the items; a mask has their order, shape (n_items,).
    """

    entries: tuple[CatalogueEntry, ...]
    _columns: Mapping[Field, Column]

    @classmethod
    def of(cls, entries: Iterable[CatalogueEntry]) -> Columns:
        """Build the columns of these items."""
        kept = tuple(entries)
        builders: dict[str, ColumnBuilder] = defaultdict(ColumnBuilder)
        for row, entry in enumerate(kept):
            for name, value in entry.item.attributes.items():
                builders[name].add(row, value)
        columns = {Field(name): one.column(n_items=len(kept)) for name, one in builders.items()}
        for name in BUILT_IN:
            field = Field(name, is_built_in=True)
            columns[field] = _column(kept, field)
        return cls(kept, {field: column for field, column in columns.items() if column})

    def mask(self, where: Where) -> Mask:
        """Return which items the filter lets pass; the array is the caller's to change."""
        return self._all([clause.expression for clause in where.clauses])

    def evaluate(self, expression: Expression) -> Mask:
        """Return which items one expression holds for; the array is the caller's to change."""
        match expression:
            case AllOf(parts):
                return self._all(parts)
            case AnyOf(parts):
                return reduce(np.logical_or, map(self.evaluate, parts), self._none())
            case Not(part):
                found = self.evaluate(part)
                return np.logical_not(found, out=found)
            case IsIn(field) | Compares(field) | Exists(field):
                column = self._columns.get(field)
                return _mask(column, expression) if column else self._none()

    def without(
        self,
        rows: Collection[int],
        told: Sequence[CatalogueEntry],
        entries: Sequence[CatalogueEntry],
    ) -> Columns:
        """Return the columns without the texts that some rows alone have, and masks to ignore them.

        Args:
            rows: those whose items changed or are gone; a mask says nothing of them.
            told: what of them is still in the columns.
            entries: all items, those of the rows without words.
        """
        among = [row for row in rows if row < len(self.entries)]
        columns: dict[Field, Column] = {}
        for field, column in self._columns.items():
            texts = {one for entry in told for one in _texts(entry, field)}
            columns[field] = column.without(texts, rows=among) if texts else column
        return Columns(tuple(entries), columns)

    @property
    def nbytes(self) -> int:
        """Size of all columns in bytes, without the items."""
        return sum(column.nbytes for column in self._columns.values())

    def _all(self, parts: Sequence[Expression]) -> Mask:
        found = np.ones(len(self.entries), dtype=np.bool_) if not parts else self.evaluate(parts[0])
        for part in parts[1:]:
            found &= self.evaluate(part)
        return found

    def _none(self) -> Mask:
        return np.zeros(len(self.entries), dtype=np.bool_)


def _column(entries: Sequence[CatalogueEntry], field: Field) -> Column | None:
    built_in = BUILT_IN[field.name] if field.is_built_in else None
    builder = ColumnBuilder(is_text=built_in is not None and built_in.type is Type.TEXT)
    for row, entry in enumerate(entries):
        if built_in:
            builder.add(row, built_in.read(entry))
        elif field.name in entry.item.attributes:
            builder.add(row, entry.item.attributes[field.name])
    return builder.column(n_items=len(entries))


def _texts(entry: CatalogueEntry, field: Field) -> Iterator[str]:
    if field.is_built_in:
        told: object = BUILT_IN[field.name].read(entry)
    else:
        told = entry.item.attributes.get(field.name)
    for one in told if isinstance(told, list | tuple) else [told]:
        if isinstance(one, str):
            yield one


def _mask(column: Column, condition: IsIn | Compares | Exists) -> Mask:
    match condition:
        case IsIn(_, values):
            return column.items.mask(column.spans_of(values))
        case Compares(_, order, bound):
            return column.items.mask(column.span_beside(order, bound))
        case Exists():
            return column.items.exists()
