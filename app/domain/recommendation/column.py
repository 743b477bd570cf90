"""One field of all items as numbers, so that a condition is a comparison of two or three integers.

A column numbers the distinct values of a field in their order, type by type. So each condition
is a few ranges of numbers (codes), whatever the type: those between two found by bisection.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.domain.recommendation.filter import (
    Order,
    RawValue,
    Scalar,
    Type,
    scalar_of,
)

Mask = NDArray[np.bool_]
Span = tuple[int, int]
"""Codes from the first up to, not including, the second."""
_SPARSE: Final = 8
"""A column in which fewer than one item in so many has a value lists these items instead."""
_FREQUENT: Final = 32
"""A value that more than one item in so many has is kept as bits: smaller than 32-bit rows."""
_FEW_SPANS: Final = 8
"""Up to so many ranges are compared one by one; more are looked up in a table."""


@dataclass(frozen=True, slots=True)
class _Codes:
    """One value an item at most: its code, or ``n_codes`` where it has none; shape (n_items,)."""

    codes: NDArray[np.unsignedinteger[Any]]
    n_codes: int

    @classmethod
    def of(cls, rows: NDArray[Any], codes: NDArray[Any], n_codes: int, n_items: int) -> _Codes:
        """Lay out pairs of a row and its code."""
        laid_out = np.full(n_items, n_codes, dtype=np.min_scalar_type(n_codes))
        laid_out[rows] = codes
        return cls(laid_out, n_codes)

    def mask(self, spans: Sequence[Span]) -> Mask:
        """Return which items have a value within any of the spans."""
        if not spans:
            return np.zeros(len(self.codes), dtype=np.bool_)
        if len(spans) <= _FEW_SPANS:
            found: Mask = reduce(np.logical_or, map(self._within, spans))
            return found
        table = np.zeros(self.n_codes + 1, dtype=np.bool_)
        for low, high in spans:
            table[low:high] = True
        return table.take(self.codes)  # half the time of table[codes]

    def _within(self, span: Span) -> Mask:
        low, high = span
        if high - low == 1:
            is_low: Mask = self.codes == low
            return is_low
        if low == 0:
            return self.codes < high
        return self.codes - self.codes.dtype.type(low) < high - low  # a code below low wraps around

    def exists(self) -> Mask:
        """Return which items have the field."""
        return self.codes < self.n_codes

    @property
    def nbytes(self) -> int:
        """Size of the array."""
        return self.codes.nbytes


@dataclass(frozen=True, slots=True)
class _Postings:
    """Any number of values an item: for each code, the items that have it.

    Args:
        rows: of the rare codes' items, code by code, ascending in each.
        starts: where each code's rows begin, and the end: shape (n_codes + 1,).
        frequent: the codes that many items have, ascending; they have no rows.
        bits: their items, a bit each: shape (n_frequent, ⌈n_items / 8⌉). Reading all is ten times
            faster than setting one item in three by its row, and smaller.
        empty: rows of items whose list has no element.
        n_items: how long a mask is.
    """

    rows: NDArray[np.int32]
    starts: NDArray[np.int32]
    frequent: Sequence[int]
    bits: NDArray[np.uint8]
    empty: NDArray[np.int32]
    n_items: int

    @classmethod
    def of(
        cls,
        rows: NDArray[np.int32],
        codes: NDArray[np.int64],
        n_codes: int,
        empty: NDArray[np.int32],
        n_items: int,
    ) -> _Postings:
        """Lay out pairs of a row and its code."""
        counts = np.bincount(codes, minlength=n_codes)
        frequent = np.flatnonzero(counts * _FREQUENT > n_items)
        bits = np.zeros((len(frequent), (n_items + 7) // 8), dtype=np.uint8)
        for number, code in enumerate(frequent.tolist()):
            has_it = np.zeros(n_items, dtype=np.bool_)
            has_it[rows[codes == code]] = True
            bits[number] = np.packbits(has_it)
        rare = ~np.isin(codes, frequent)
        counts[frequent] = 0
        starts = np.zeros(n_codes + 1, dtype=np.int32)
        np.cumsum(counts, out=starts[1:])
        by_code = rows[rare][np.argsort(codes[rare], kind="stable")]
        return cls(by_code, starts, frequent.tolist(), bits, empty, n_items)

    def mask(self, spans: Sequence[Span]) -> Mask:
        """Return which items have a value within any of the spans."""
        bits = np.zeros(self.bits.shape[1], dtype=np.uint8)
        for low, high in spans:
            first, last = bisect_left(self.frequent, low), bisect_left(self.frequent, high)
            for number in range(first, last):
                bits |= self.bits[number]
        found = np.unpackbits(bits, count=self.n_items).view(np.bool_)
        for low, high in spans:
            found[self.rows[self.starts[low] : self.starts[high]]] = True
        return found

    def exists(self) -> Mask:
        """Return which items have the field."""
        found = self.mask([(0, len(self.starts) - 1)])
        found[self.empty] = True
        return found

    @property
    def nbytes(self) -> int:
        """Size of the arrays."""
        return self.rows.nbytes + self.starts.nbytes + self.bits.nbytes + self.empty.nbytes


@dataclass(frozen=True, slots=True)
class Column:
    """One field of all items.

    Args:
        values: of each type, the distinct values, ascending.
        firsts: of each type, the code of its first value.
        items: which items have which codes.
    """

    values: Mapping[Type, Sequence[Any]]
    firsts: Mapping[Type, int]
    items: _Codes | _Postings

    def spans_of(self, wanted: Iterable[Scalar]) -> list[Span]:
        """Return the codes of those of the values that occur, neighbours joined."""
        codes = sorted(code for one in wanted if (code := self._code_of(one)) is not None)
        spans: list[Span] = []
        for code in codes:
            if spans and spans[-1][1] == code:
                spans[-1] = (spans[-1][0], code + 1)
            else:
                spans.append((code, code + 1))
        return spans

    def _code_of(self, one: Scalar) -> int | None:
        values = self.values[one.type]
        place = bisect_left(values, one.value)
        is_there = place < len(values) and values[place] == one.value
        return self.firsts[one.type] + place if is_there else None

    def span_beside(self, order: Order, bound: Scalar) -> list[Span]:
        """Return the codes of the bound's type that lie on this side of it."""
        values, first = self.values[bound.type], self.firsts[bound.type]
        match order:
            case Order.LT:
                low, high = 0, bisect_left(values, bound.value)
            case Order.LTE:
                low, high = 0, bisect_right(values, bound.value)
            case Order.GT:
                low, high = bisect_right(values, bound.value), len(values)
            case Order.GTE:
                low, high = bisect_left(values, bound.value), len(values)
        return [(first + low, first + high)] if low < high else []

    def without(self, texts: Iterable[str], *, rows: Sequence[int]) -> Column:
        """Return the column without those of the texts that no other rows have.

        Each gives way to the text before it, so that the others keep codes and order; what is
        found of its code is in these rows, which the caller reads no more.
        """
        kept = list(self.values[Type.TEXT])
        first = self.firsts[Type.TEXT]
        codes = (self._code_of(Scalar(Type.TEXT, text)) for text in texts)
        for code in sorted(one for one in codes if one is not None):
            has_it = self.items.mask([(code, code + 1)])
            has_it[rows] = False
            if not has_it.any():
                kept[code - first] = kept[code - first - 1] if code > first else ""
        return replace(self, values={**self.values, Type.TEXT: kept})

    @property
    def nbytes(self) -> int:
        """Size of the arrays and lists; the texts themselves are the items' own."""
        return self.items.nbytes + sum(sys.getsizeof(values) for values in self.values.values())


class ColumnBuilder:
    """Takes in one field, item by item in ascending rows.

    Args:
        is_text: texts that look like dates stay texts.
    """

    def __init__(self, *, is_text: bool = False) -> None:
        """Begin with no item."""
        self._is_text = is_text
        self._rows: list[int] = []
        self._codes: list[int] = []  # in the order of first sight, until ``column`` sorts them
        self._empty: list[int] = []
        self._seen: dict[Scalar, int] = {}
        self._by_raw: dict[type, dict[RawValue, int]] = defaultdict(dict)

    def add(self, row: int, value: RawValue | Sequence[RawValue]) -> None:
        """Take in the value of one item, or its list of values."""
        if isinstance(value, str | int | float | datetime):
            self._put(row, value)
            return
        for one in value:
            self._put(row, one)
        if not value:
            self._empty.append(row)

    def column(self, *, n_items: int) -> Column | None:
        """Return the column of all that was taken in; None if no item has the field."""
        if not self._rows and not self._empty:
            return None
        values: dict[Type, Sequence[Any]] = {}
        firsts: dict[Type, int] = {}
        rank = np.empty(len(self._seen), dtype=np.int64)
        for kind in Type:
            found = sorted((one.value, code) for one, code in self._seen.items() if one[0] is kind)
            firsts[kind] = sum(map(len, values.values()))
            rank[[code for _, code in found]] = np.arange(len(found)) + firsts[kind]
            values[kind] = _packed(kind, [value for value, _ in found])
        codes = rank[self._codes]
        rows = np.asarray(self._rows, dtype=np.int32)
        is_single = not self._empty and bool((rows[1:] > rows[:-1]).all())
        if is_single and len(rows) * _SPARSE >= n_items:
            return Column(values, firsts, _Codes.of(rows, codes, len(rank), n_items))
        empty = np.asarray(self._empty, dtype=np.int32)
        return Column(values, firsts, _Postings.of(rows, codes, len(rank), empty, n_items))

    def _put(self, row: int, raw: RawValue) -> None:
        # By class, for True equals 1. Reading a text for a date costs more than looking it up.
        known = self._by_raw[raw.__class__]
        code = known.get(raw)
        if code is None:
            one = scalar_of(raw, is_text=self._is_text)
            code = known[raw] = self._seen.setdefault(one, len(self._seen))
        self._rows.append(row)
        self._codes.append(code)


def _packed(kind: Type, values: list[Any]) -> Sequence[Any]:
    match kind:
        case Type.NUMBER:
            return array("d", values)
        case Type.INSTANT:
            return array("q", values)
        case _:
            return values
