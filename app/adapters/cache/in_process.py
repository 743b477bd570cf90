"""The cache of one process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from app.domain.models import Pseudonym
from app.ports.clock import Clock

_MAX_USERS: Final = 10_000


class LocalCache:
    """Keeps values in memory; when it is full, drops the least recently used user's.

    Args:
        max_users: users kept at most, >= 1.
    """

    def __init__(self, *, clock: Clock, max_users: int = _MAX_USERS) -> None:
        self._clock = clock
        self._max_users = max_users
        self._lock = threading.Lock()
        self._users: OrderedDict[Pseudonym, dict[str, tuple[float, bytes]]] = OrderedDict()

    def get(self, pseudonym: Pseudonym, key: str) -> bytes | None:
        with self._lock:
            expires_s, value = self._users.get(pseudonym, {}).get(key, (0.0, b""))
            return value if expires_s > self._clock.monotonic_s() else None

    def put(self, pseudonym: Pseudonym, key: str, value: bytes, *, ttl_s: float) -> None:
        now_s = self._clock.monotonic_s()
        with self._lock:
            kept = self._users.pop(pseudonym, {})
            fresh = {name: entry for name, entry in kept.items() if entry[0] > now_s}
            self._users[pseudonym] = fresh | {key: (now_s + ttl_s, value)}
            while len(self._users) > self._max_users:
                self._users.popitem(last=False)

    def erase(self, pseudonym: Pseudonym) -> int:
        with self._lock:
            return len(self._users.pop(pseudonym, {}))

    def count(self, pseudonym: Pseudonym) -> int:
        with self._lock:
            return len(self._users.get(pseudonym, {}))
