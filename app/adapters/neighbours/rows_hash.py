"""A hash of who has what that is kept up as users come and go, and does not depend on their order.

LtHash with 1,024 lanes of 16 bits: each row becomes 1,024 numbers by SHAKE-128, and the hash is
their sum modulo 2^16, lane by lane. To take a row out is to subtract it, so the lanes are those
of a set that never had it. Finding two sets of one hash is a problem of short integer solutions,
with more than 200 bits of security by the paper; a plain sum of 256-bit hashes modulo 2^256 falls
to a generalised birthday attack in some 2^32 steps.

Sources: Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing: Incrementality at
Reduced Cost", EUROCRYPT 1997; Lewi, Kim, Maykov and Weis, "Securing Update Propagation with
Homomorphic Hashing", IACR ePrint 2019/227 (with BLAKE2 for SHAKE); Wagner, CRYPTO 2002.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from hashlib import shake_128
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.models import ItemId, Pseudonym

_FORMAT: Final = b"lethe-neighbours-4\n"
_LANES: Final = 1024
_AT_ONCE: Final = 64
_NUMBERS: Final = np.dtype("<u2")


class RowsHash:
    """The hash of a set of users with their items, newest first. 2 KiB, whatever their number."""

    def __init__(self) -> None:
        self._lanes: NDArray[np.uint16] = np.zeros(_LANES, dtype=np.uint16)

    def add(self, pseudonym: Pseudonym, items: Sequence[ItemId]) -> None:
        """Put a user in who is not there; without items nobody is put in."""
        if items:
            self._lanes += _expanded(pseudonym, items)

    def add_many(self, told: Iterable[tuple[Pseudonym, Iterable[bytes]]]) -> None:
        """Put users in who are not there, with items, as ``as_told`` tells them."""
        rows = (b"".join((_FORMAT, as_told(user), *items)) for user, items in told)
        while some := [shake_128(row).digest(2 * _LANES) for row in islice(rows, _AT_ONCE)]:
            lanes = np.frombuffer(b"".join(some), dtype=_NUMBERS).reshape(-1, _LANES)
            self._lanes += lanes.sum(axis=0, dtype=np.uint16)

    def remove(self, pseudonym: Pseudonym, items: Sequence[ItemId]) -> None:
        """Take a user out who was put in with exactly these items."""
        if items:
            self._lanes -= _expanded(pseudonym, items)

    def digest(self) -> str:
        """Return 64 hex digits of SHA-256 over the lanes."""
        return hashlib.sha256(_FORMAT + self._lanes.astype("<u2").tobytes()).hexdigest()


def as_told(key: str) -> bytes:
    """Return an id with its length in UTF-8, so that no two rows have the same bytes."""
    encoded = key.encode("utf-8", "surrogatepass")
    return b"%d:%b" % (len(encoded), encoded)


def _expanded(pseudonym: Pseudonym, items: Sequence[ItemId]) -> NDArray[np.uint16]:
    row = b"".join(map(as_told, (pseudonym, *items)))
    return np.frombuffer(shake_128(_FORMAT + row).digest(2 * _LANES), dtype=_NUMBERS)
