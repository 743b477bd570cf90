"""Caches unwrapped keys: few, for a short time, and none of before the last shred."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from threading import Lock

from app.domain.models import Pseudonym
from app.ports.clock import Clock
from app.ports.vault import DataKey


class KeyCache:
    """Least recently used keys go first. Safe to share between threads.

    The vault counts shreds; the cache belongs to one count and is emptied by the next, so that a
    key that another process shredded is not found here either.

    Args:
        clock: for ages.
        max_keys: keys kept at most; 0 keeps none.
        ttl_s: seconds a key is kept after it was read from the vault.
    """

    def __init__(self, *, clock: Clock, max_keys: int, ttl_s: float) -> None:
        self._clock = clock
        self._max_keys = max_keys
        self._ttl_s = ttl_s
        self._lock = Lock()
        self._n_shreds = -1
        self._keys: OrderedDict[Pseudonym, tuple[DataKey, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, pseudonyms: Collection[Pseudonym], *, n_shreds: int) -> dict[Pseudonym, DataKey]:
        """Return the keys that are here and were read at this count of shreds."""
        now_s = self._clock.monotonic_s()
        found: dict[Pseudonym, DataKey] = {}
        with self._lock:
            self._follow(n_shreds)
            if n_shreds != self._n_shreds:
                return found  # a snapshot from before somebody else's shred
            for pseudonym in pseudonyms:
                key, until_s = self._keys.get(pseudonym, (None, now_s))
                if key is not None and until_s > now_s:
                    self._keys.move_to_end(pseudonym)
                    found[pseudonym] = key
        return found

    def keep(self, keys: Mapping[Pseudonym, DataKey], *, n_shreds: int) -> None:
        """Keep keys that were read at this count; of an older one, none."""
        until_s = self._clock.monotonic_s() + self._ttl_s
        with self._lock:
            self._follow(n_shreds)
            if n_shreds != self._n_shreds:
                return
            for pseudonym, key in keys.items():
                self._keys[pseudonym] = (key, until_s)
                self._keys.move_to_end(pseudonym)
            while len(self._keys) > self._max_keys:
                self._keys.popitem(last=False)

    def _follow(self, n_shreds: int) -> None:
        if n_shreds > self._n_shreds:
            self._keys.clear()
            self._n_shreds = n_shreds

    def expire(self) -> None:
        """Drop what is too old. Called on a timer: an idle process must let go of keys, too."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            old = [one for one, (_, until_s) in self._keys.items() if until_s <= now_s]
            for pseudonym in old:
                del self._keys[pseudonym]

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._keys.clear()
