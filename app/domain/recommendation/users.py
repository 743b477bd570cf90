"""Numbers for users, in 40 bytes each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.models import Pseudonym

Ids = NDArray[np.uint8]
"""Pseudonyms in 32 bytes each, shape (n, 32)."""
Ints = NDArray[np.int64]

_SIZE: Final = 32
"""Bytes of a pseudonym, which is told as twice as many hex digits."""
_FEWEST_PLACES: Final = 64
_MIX: Final = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: numbers that are close come to lie apart (Knuth, TAOCP, 6.4)."""
_WORD: Final = 0xFFFFFFFFFFFFFFFF


class Users:
    """Numbers for pseudonyms: small, reused when a user leaves, never shown.

    The numbers are found by a hash table with open addressing and linear probing. To take one out
    moves what comes after it forward, so that no mark is left of who was there. What is not in use
    is 0, in the table and in the ids.

    Memory: 32 bytes a user and 5 to 11 for the table, and an eighth more while users come. The same
    in a dict of strings is 260.
    """

    def __init__(self) -> None:
        self._ids: Ids = np.zeros((0, _SIZE), dtype=np.uint8)
        self._table = np.zeros(_FEWEST_PLACES, dtype=np.int32)
        """One more than a number, or 0 for nobody."""
        self._used = 0
        self._free: list[int] = []

    def __len__(self) -> int:
        """Return how many users there are."""
        return self._used - len(self._free)

    @property
    def n_numbers(self) -> int:
        """Return below what all numbers are, given or free."""
        return self._used

    @property
    def nbytes(self) -> int:
        """Return the bytes held."""
        return self._ids.nbytes + self._table.nbytes

    def find(self, pseudonym: Pseudonym) -> int | None:
        """Return a user's number; None if there is no such user.

        Raises:
            ValueError: no pseudonym has this form.
        """
        at = int(self._table[self._place(_packed(pseudonym))])
        return at - 1 if at else None

    def take(self, pseudonym: Pseudonym) -> int:
        """Return a user's number; a new user gets one.

        Raises:
            ValueError: no pseudonym has this form.
        """
        packed = _packed(pseudonym)
        place = self._place(packed)
        if at := int(self._table[place]):
            return at - 1
        number = self._free.pop() if self._free else self._used
        if number == self._used:
            self._used += 1
            self._hold(self._used)
        self._ids[number] = np.frombuffer(packed, dtype=np.uint8)
        self._table[place] = number + 1
        if 4 * len(self) > 3 * len(self._table):
            self._lay_out(self.numbers(), n_places=2 * len(self._table))
        return number

    def take_all(self, ids: Ids) -> Ints:
        """Return the numbers of users, packed, shape (n,); new ones get numbers.

        For many at once: some tens of nanoseconds each, where ``take`` needs microseconds.
        """
        numbers = self._found(ids)
        unknown = np.flatnonzero(numbers < 0)
        if len(unknown):
            distinct, which = _distinct(ids[unknown])
            numbers[unknown] = self._enter(distinct)[which]
        return numbers

    def only(self, numbers: Ints) -> Users:
        """Return these users alone, numbered from 0 in this order."""
        users = Users()
        users._enter(self._ids[numbers])
        return users

    def _enter(self, ids: Ids) -> Ints:
        """Number users, packed, who are not there, in this order; return their numbers."""
        new = np.arange(self._used, self._used + len(ids))
        self._used += len(new)
        self._hold(self._used)
        self._ids[new] = ids
        n_places = len(self._table)
        while 4 * len(self) > 3 * n_places:
            n_places *= 2
        if n_places > len(self._table):
            self._lay_out(np.concatenate([self.numbers(), new]), n_places=n_places)
        else:
            self._put(new)
        return new

    def drop(self, number: int) -> None:
        """Let go of the user with this number."""
        table, mask = self._table, len(self._table) - 1
        hole = self._place(self._ids[number].tobytes())
        at = (hole + 1) & mask
        while other := int(table[at]):
            home = self._home(self._ids[other - 1].tobytes())
            # Forward only where the hole is not before the other's first place.
            if (at - home) & mask >= (at - hole) & mask:
                table[hole] = other
                hole = at
            at = (at + 1) & mask
        table[hole] = 0
        self._ids[number] = 0
        self._free.append(number)

    def name(self, number: int) -> Pseudonym:
        """Return the pseudonym of the user with this number."""
        return Pseudonym(self._ids[number].tobytes().hex())

    def numbers(self) -> Ints:
        """Return the numbers of all users, in no order."""
        return self._table[self._table > 0].astype(np.int64) - 1

    def in_order(self) -> tuple[Ids, Ints]:
        """Return the users by pseudonym: 32 bytes of each, shape (n, 32), and their numbers."""
        numbers = self.numbers()
        words = self._ids[numbers].view(">u8")
        numbers = numbers[np.lexsort(words.T[::-1])]
        return self._ids[numbers], numbers

    def _found(self, ids: Ids) -> Ints:
        """Return the numbers of users, packed, shape (n,); -1 for whoever is not there."""
        numbers = np.full(len(ids), -1, dtype=np.int64)
        wanted, known = ids.view(np.uint64), self._ids.view(np.uint64)
        places, left = self._homes(ids), np.arange(len(ids))
        while True:
            at = self._table[places].astype(np.int64) - 1
            is_there = at >= 0
            at, left, places = at[is_there], left[is_there], places[is_there]
            if not len(left):
                return numbers
            is_same = known[at, 0] == wanted[left, 0]
            for word in (1, 2, 3):
                is_same &= known[at, word] == wanted[left, word]
            numbers[left[is_same]] = at[is_same]
            goes_on = ~is_same
            left, places = left[goes_on], (places[goes_on] + 1) & (len(self._table) - 1)

    def _lay_out(self, numbers: Ints, *, n_places: int) -> None:
        """Make the table anew, of a power of two of places."""
        self._table = np.zeros(n_places, dtype=np.int32)
        self._put(numbers)

    def _put(self, numbers: Ints) -> None:
        """Put users into the table who are not in it.

        All at once: of those who want one place the last written has it, the others go on.
        """
        places = self._homes(self._ids[numbers])
        while len(numbers):
            is_free = self._table[places] == 0
            self._table[places[is_free]] = numbers[is_free] + 1
            goes_on = self._table[places] != numbers + 1
            numbers = numbers[goes_on]
            places = (places[goes_on] + 1) & (len(self._table) - 1)

    def _hold(self, n_users: int) -> None:
        """Have room for the ids of so many users."""
        if n_users > len(self._ids):
            ids = np.zeros((n_users + n_users // 8, _SIZE), dtype=np.uint8)
            ids[: len(self._ids)] = self._ids
            self._ids = ids

    def _homes(self, ids: Ids) -> Ints:
        """Return the first places of pseudonyms."""
        words = ids.view("<u8")
        mixed = (words[:, 0] ^ words[:, 3]) * np.uint64(_MIX)
        places: Ints = (mixed >> np.uint64(65 - len(self._table).bit_length())).astype(np.int64)
        return places

    def _home(self, packed: bytes) -> int:
        """Return the first place of a pseudonym."""
        word = int.from_bytes(packed[:8], "little") ^ int.from_bytes(packed[-8:], "little")
        return ((word * _MIX) & _WORD) >> (65 - len(self._table).bit_length())

    def _place(self, packed: bytes) -> int:
        """Return where a pseudonym stands in the table, or would stand."""
        table, mask = self._table, len(self._table) - 1
        place = self._home(packed)
        while at := int(table[place]):
            if self._ids[at - 1].tobytes() == packed:
                break
            place = (place + 1) & mask
        return place


def _packed(pseudonym: Pseudonym) -> bytes:
    try:
        packed = bytes.fromhex(pseudonym)
    except ValueError:
        packed = b""
    if len(packed) != _SIZE or packed.hex() != pseudonym:
        raise ValueError("a pseudonym is 64 lower-case hex digits")
    return packed


def _distinct(ids: Ids) -> tuple[Ids, Ints]:
    """Return each of the pseudonyms once, and which of these each is."""
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


def told(ids: Ids) -> Iterable[Pseudonym]:
    """Yield the pseudonyms of packed ones."""
    for one in ids:
        yield Pseudonym(one.tobytes().hex())
