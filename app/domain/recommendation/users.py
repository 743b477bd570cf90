"""Numbers for users, in 40 bytes each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from app.domain.models import Pseudonym
from app.domain.recommendation.numbers import Ids, Ints, Numbers

_SIZE: Final = 32
"""Bytes of a pseudonym, which is told as twice as many hex digits."""


class Users(Numbers):
    """Numbers for pseudonyms: small, reused when a user leaves, never shown.

    To take one out of the table moves what comes after it forward, so that no mark is left of who
    was there.

    Memory: 37 to 43 bytes a user, an eighth more while they come; in a dict of strings 260.
    """

    def __init__(self) -> None:
        super().__init__(_SIZE)
        self._free: list[int] = []

    def __len__(self) -> int:
        """Return how many users there are."""
        return self._used - len(self._free)

    @property
    def n_numbers(self) -> int:
        """Return below what all numbers are, given or free."""
        return self._used

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
        if not self._free:
            return int(self._enter(np.frombuffer(packed, dtype=np.uint8)[None])[0])
        number = self._free.pop()
        self._ids[number] = np.frombuffer(packed, dtype=np.uint8)
        self._table[place] = number + 1
        return number

    def only(self, numbers: Ints) -> Users:
        """Return these users alone, numbered from 0 in this order."""
        users = Users()
        users._enter(self._ids[numbers])
        return users

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

    def in_order(self) -> tuple[Ids, Ints]:
        """Return the users by pseudonym: 32 bytes of each, shape (n, 32), and their numbers."""
        numbers = self.numbers()
        words = self._ids[numbers].view(">u8")
        numbers = numbers[np.lexsort(words.T[::-1])]
        return self._ids[numbers], numbers

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
