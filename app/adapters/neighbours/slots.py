"""Numbers for items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from app.adapters.neighbours.lists import Ints
from app.adapters.neighbours.rows_hash import as_told
from app.domain.models import ItemId


class Slots:
    """Numbers for items: small, reused when an item leaves, never shown."""

    def __init__(self) -> None:
        self.number: dict[ItemId, int] = {}
        self.key: list[ItemId | None] = []
        self.changes = 0
        self._free: list[int] = []
        self._told: tuple[int, list[bytes]] | None = None

    def take(self, key: ItemId) -> int:
        """Return the number of ``key``, which gets one if it has none."""
        number = self.number.get(key)
        if number is None:
            if self._free:
                number = self._free.pop()
                self.key[number] = key
            else:
                number = len(self.key)
                self.key.append(key)
            self.number[key] = number
            self.changes += 1
        return number

    def fill(self, keys: Sequence[ItemId]) -> None:
        """Number distinct ids from 0, where there are none yet."""
        self.key, self.changes = list(keys), len(keys)
        self.number = {key: number for number, key in enumerate(keys)}

    def told(self) -> list[bytes]:
        """Return by number what the hash of a row takes of an id; kept until they change."""
        if self._told is None or self._told[0] != self.changes:
            told = [b"" if key is None else as_told(key) for key in self.key]
            self._told = (self.changes, told)
        return self._told[1]

    def drop(self, number: int) -> None:
        """Let go of the id with this number."""
        key = self.key[number]
        if key is not None:
            del self.number[key]
            self.key[number] = None
            self.changes += 1
            self._free.append(number)

    def name(self, number: int) -> ItemId:
        """Return the id with this number.

        Raises:
            KeyError: no id has it.
        """
        key = self.key[number]
        if key is None:
            raise KeyError(number)
        return key

    def known(self, keys: Iterable[ItemId]) -> Ints:
        """Return the numbers of those of the ids that have one."""
        number = self.number
        return np.array([number[key] for key in keys if key in number], dtype=np.int64)

    def in_order(self) -> tuple[list[ItemId], Ints]:
        """Return the ids ascending, and their numbers."""
        keys = sorted(self.number)
        return keys, np.array([self.number[key] for key in keys], dtype=np.int64)
