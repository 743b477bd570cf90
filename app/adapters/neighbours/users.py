"""Numbers for users, in 40 bytes each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.lists import Ints, grown
from app.domain.models import Pseudonym

Ids = NDArray[np.uint8]

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
            if number == len(self._ids):
                self._ids = grown(self._ids, number + 1 + number // 8)
        self._ids[number] = np.frombuffer(packed, dtype=np.uint8)
        self._table[place] = number + 1
        if 4 * len(self) > 3 * len(self._table):
            self._lay_out(self.numbers(), n_places=2 * len(self._table))
        return number

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

    def _lay_out(self, numbers: Ints, *, n_places: int) -> None:
        """Make the table anew, of a power of two of places."""
        self._table = np.zeros(n_places, dtype=np.int32)
        mask = len(self._table) - 1
        words = self._ids[numbers].view("<u8")
        mixed = (words[:, 0] ^ words[:, 3]) * np.uint64(_MIX)
        places = (mixed >> np.uint64(64 - mask.bit_length())).astype(np.int64)
        # All at once: of those who want one place the last written has it, the others go on.
        while len(numbers):
            is_free = self._table[places] == 0
            self._table[places[is_free]] = numbers[is_free] + 1
            goes_on = self._table[places] != numbers + 1
            numbers, places = numbers[goes_on], (places[goes_on] + 1) & mask

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


def told(ids: Ids) -> Iterable[Pseudonym]:
    """Yield the pseudonyms of packed ones."""
    for one in ids:
        yield Pseudonym(one.tobytes().hex())
