"""Slows down whoever sends wrong tokens. Right ones are not slowed, so nobody is locked out.

Kept in the memory of one process, for ten minutes at most, and of a bounded number of senders:
hashes of addresses and of keys under a random key of the process, so that no address is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request

from app.domain.access import key_id_of
from app.domain.errors import SlowedDownError

_FREE: Final = 5
"""Wrong tokens in a row that wait for nothing: people mistype, and clients are set up."""
_FIRST_S: Final = 0.1
_LONGEST_S: Final = 2.0
_SHUT: Final = 50
"""From so many on, tokens that were not right before are not looked at."""
_REMEMBERED_S: Final = 600.0
_MOST: Final = 10_000
_MOST_WAITING: Final = 256
_Failures = tuple[int, float]
"""How many in a row, and when the last one was (monotonic seconds)."""


@dataclass(slots=True)
class Slowdown:
    """Counts wrong tokens by address and by key.

    Args:
        free: wrong tokens of one sender that wait for nothing.
        wait: lets seconds pass.
    """

    free: int = _FREE
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep
    _salt: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)
    _failures: OrderedDict[bytes, _Failures] = field(default_factory=OrderedDict)
    _right: OrderedDict[bytes, _Failures] = field(default_factory=OrderedDict)
    _waiting: int = 0

    def require_open(self, request: Request, token: str, *, at_s: float) -> None:
        """Refuse to look at a token of an address that has sent too many wrong ones.

        Args:
            request: tells the address.
            token: as sent.
            at_s: now, as ``Clock.monotonic_s`` has it.

        Raises:
            SlowedDownError: it has, and this token was not right before.
        """
        if not self._failures:
            return
        if self._count(self._hashed(_address(request)), at_s=at_s) >= self.free + _SHUT:
            known = self._hashed(token)
            if known not in self._right:
                raise SlowedDownError("too many wrong tokens; try again in some minutes")

    def note_right(self, token: str) -> None:
        """Remember that a token is right."""
        _put(self._right, self._hashed(token), (0, 0.0))

    async def note_wrong(self, request: Request, token: str, *, at_s: float) -> None:
        """Count a wrong token, and wait: the longer, the more there were; see ``require_open``.

        Raises:
            SlowedDownError: too many answers wait already.
        """
        keys = [_address(request), key_id_of(token) or ""]
        hashed = [self._hashed(one) for one in keys if one]
        counts = [self._count(one, at_s=at_s) + 1 for one in hashed]
        for one, count in zip(hashed, counts, strict=True):
            _put(self._failures, one, (count, at_s))
        too_many = max(counts, default=0) - self.free
        if too_many <= 0:
            return
        if self._waiting >= _MOST_WAITING:
            raise SlowedDownError("too many wrong tokens; try again in some minutes")
        self._waiting += 1
        try:
            await self.wait(min(_FIRST_S * 2 ** min(too_many, 8), _LONGEST_S))
        finally:
            self._waiting -= 1

    def _count(self, hashed: bytes, *, at_s: float) -> int:
        count, last_s = self._failures.get(hashed, (0, 0.0))
        return count if at_s - last_s < _REMEMBERED_S else 0

    def _hashed(self, value: str) -> bytes:
        return hashlib.blake2b(value.encode(), key=self._salt, digest_size=16).digest()


def _put(kept: OrderedDict[bytes, _Failures], key: bytes, value: _Failures) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _MOST:
        kept.popitem(last=False)


def _address(request: Request) -> str:
    """Return who sends: an address, or of IPv6 the network that one customer has."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:  # noqa: PLR2004 - IPv4
        return host
    return str(ipaddress.ip_network((address, 64), strict=False))
