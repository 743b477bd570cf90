"""Numbers for ids, many at once, without an object for any of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.models import ItemId

Ids = NDArray[np.uint8]
"""Ids in as many bytes each, shape (n, bytes): 32 of a pseudonym, a multiple of 8 of an item."""
Ints = NDArray[np.int64]
END: Final = b"\x01"
"""What ends an item's id where many are told as one text; zeros after it are no part of the id."""

_WORD_BYTES: Final = 8
_FEWEST_PLACES: Final = 64
_MIX: Final = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: numbers that are close come to lie apart (Knuth, TAOCP, 6.4)."""
_WORD: Final = 0xFFFFFFFFFFFFFFFF
_FIRST_BYTES: Final = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)


class Numbers:
    """Numbers from 0 for ids, in the order in which they come.

    They are found by a hash table with open addressing and linear probing. What is not in use is
    0, in the table and in the ids.

    Memory: the ids, an eighth more while they come, and 5 to 11 bytes each for the table.

    Args:
        n_bytes: of an id; once there is a longer one, each takes as much as that.
    """

    def __init__(self, n_bytes: int = _WORD_BYTES) -> None:
        self._ids: Ids = np.zeros((0, n_bytes), dtype=np.uint8)
        self._table = np.zeros(_FEWEST_PLACES, dtype=np.int32)
        """One more than a number, or 0 for nothing."""
        self._used = 0

    def __len__(self) -> int:
        """Return how many ids have a number."""
        return self._used

    @property
    def nbytes(self) -> int:
        """Return the bytes held."""
        return self._ids.nbytes + self._table.nbytes

    @property
    def ids(self) -> Ids:
        """Return the ids by number."""
        return self._ids[: self._used]

    def take_all(self, ids: Ids) -> Ints:
        """Return the numbers of ids, shape (n,); new ones get numbers.

        Some tens of nanoseconds each.
        """
        n_bytes = max(ids.shape[1], self._ids.shape[1])
        self._ids, ids = _widened(self._ids, n_bytes), _widened(ids, n_bytes)
        numbers = self._found(ids)
        unknown = np.flatnonzero(numbers < 0)
        if len(unknown):
            distinct, which = _distinct(ids[unknown])
            numbers[unknown] = self._enter(distinct)[which]
        return numbers

    def numbers(self) -> Ints:
        """Return all numbers, in no order."""
        return self._table[self._table > 0].astype(np.int64) - 1

    def _found(self, ids: Ids) -> Ints:
        """Return the numbers of ids, shape (n,); -1 for what is not there."""
        if not self._used:
            return np.full(len(ids), -1, dtype=np.int64)
        places = self._homes(ids)
        numbers = self._table[places].astype(np.int64) - 1
        is_same = self._are(numbers, ids)
        left = np.flatnonzero(~is_same & (numbers >= 0))
        numbers[~is_same] = -1
        places = places[left]
        while len(left):
            places = (places + 1) & (len(self._table) - 1)
            at = self._table[places].astype(np.int64) - 1
            is_same = self._are(at, ids[left])
            numbers[left[is_same]] = at[is_same]
            goes_on = ~is_same & (at >= 0)
            left, places = left[goes_on], places[goes_on]
        return numbers

    def _are(self, numbers: Ints, ids: Ids) -> NDArray[np.bool_]:
        """Return which numbers are those of the ids beside them; of -1 it does not matter."""
        is_same = self._ids.view(np.uint64)[numbers] == ids.view(np.uint64)
        are: NDArray[np.bool_] = is_same[:, 0]
        for word in range(1, is_same.shape[1]):
            are &= is_same[:, word]
        return are

    def _enter(self, ids: Ids) -> Ints:
        """Number ids that are not there, in this order; return their numbers."""
        new = np.arange(self._used, self._used + len(ids))
        self._used += len(new)
        self._hold(self._used)
        self._ids[new] = ids
        n_places = len(self._table)
        while 4 * self._used > 3 * n_places:  # room for those, too, whose numbers are free now
            n_places *= 2
        if n_places > len(self._table):
            self._lay_out(np.concatenate([self.numbers(), new]), n_places=n_places)
        else:
            self._put(new)
        return new

    def _lay_out(self, numbers: Ints, *, n_places: int) -> None:
        """Make the table anew, of a power of two of places."""
        self._table = np.zeros(n_places, dtype=np.int32)
        self._put(numbers)

    def _put(self, numbers: Ints) -> None:
        """Put ids into the table that are not in it.

        All at once: of those that want one place the last written has it, the others go on.
        """
        places = self._homes(self._ids[numbers])
        while len(numbers):
            is_free = self._table[places] == 0
            self._table[places[is_free]] = numbers[is_free] + 1
            goes_on = self._table[places] != numbers + 1
            numbers = numbers[goes_on]
            places = (places[goes_on] + 1) & (len(self._table) - 1)

    def _hold(self, n_ids: int) -> None:
        """Have room for so many ids."""
        if n_ids > len(self._ids):
            ids = np.zeros((n_ids + n_ids // 8, self._ids.shape[1]), dtype=np.uint8)
            ids[: len(self._ids)] = self._ids
            self._ids = ids

    def _homes(self, ids: Ids) -> Ints:
        """Return the first places of ids; zeros at the end make no difference."""
        words = ids.view("<u8")
        mixed = words[:, 0].copy()
        for word in range(1, words.shape[1]):
            mixed ^= words[:, word]
        mixed *= np.uint64(_MIX)
        places: Ints = (mixed >> np.uint64(65 - len(self._table).bit_length())).astype(np.int64)
        return places

    def _home(self, packed: bytes) -> int:
        """Return the first place of an id."""
        word = 0
        for begin in range(0, len(packed), _WORD_BYTES):
            word ^= int.from_bytes(packed[begin : begin + _WORD_BYTES], "little")
        return ((word * _MIX) & _WORD) >> (65 - len(self._table).bit_length())


def packed_items(told: bytes, *, n_items: int) -> Ids | None:
    """Return the ids of items that are told as one text, in UTF-8, with ``END`` between them.

    None where there are not so many of them, for an id holds ``END``.
    """
    buffer = np.frombuffer(told + END + bytes(_WORD_BYTES), dtype=np.uint8)
    ends = np.flatnonzero(buffer == END[0]) + 1
    if len(ends) != n_items:
        return None
    begins = np.append(0, ends[:-1])
    n_words = -(-int((ends - begins).max()) // _WORD_BYTES)
    words = np.empty((n_items, n_words), dtype="<u8")
    # The eight bytes from any place on, as one number.
    at = np.ndarray((len(told) + len(END) + 1,), dtype="<u8", buffer=buffer, strides=(1,))
    for word in range(n_words):
        begin = np.minimum(begins + word * _WORD_BYTES, ends)
        words[:, word] = at[begin] & _FIRST_BYTES[np.minimum(ends - begin, _WORD_BYTES)]
    return words.view(np.uint8)


def packed_one_by_one(items: Sequence[ItemId]) -> Ids:
    """Return the same of ids that may hold anything."""
    told = [item.encode() + END for item in items]
    n_words = -(-max(map(len, told), default=1) // _WORD_BYTES)
    packed = b"".join(one.ljust(n_words * _WORD_BYTES, b"\0") for one in told)
    return np.frombuffer(packed, dtype=np.uint8).reshape(-1, n_words * _WORD_BYTES)


def unpacked(items: Ids) -> list[ItemId]:
    """Return the ids of items that are packed."""
    return [ItemId(item.tobytes().rstrip(b"\0")[: -len(END)].decode()) for item in items]


def _widened(ids: Ids, n_bytes: int) -> Ids:
    """Return ids with zeros at the end."""
    missing = n_bytes - ids.shape[1]
    return np.pad(ids, ((0, 0), (0, missing))) if missing else ids


def _distinct(ids: Ids) -> tuple[Ids, Ints]:
    """Return each of the ids once, and which of these each is."""
    words = ids.view(np.uint64)
    order = np.argsort(words[:, 0])
    differs = (words[order[1:]] != words[order[:-1]]).any(axis=1)
    if (differs & (words[order[1:], 0] == words[order[:-1], 0])).any():
        order = np.lexsort(words.T)  # two begin alike, and may stand in any order
        differs = (words[order[1:]] != words[order[:-1]]).any(axis=1)
    is_first = np.concatenate([np.ones(min(1, len(ids)), dtype=np.bool_), differs])
    which = np.empty(len(ids), dtype=np.int64)
    which[order] = np.cumsum(is_first) - 1
    return ids[order[is_first]], which
