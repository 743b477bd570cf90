"""Search a file for what is known by its fingerprints only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from app.domain.erasure.fingerprint import BUCKET_BITS, WINDOW_BYTES, factor, mac
from app.domain.erasure.residue import Fingerprints

_READ_BYTES: Final = 8 << 20
_BLOCK: Final = 1 << 18
_SHIFT: Final = np.uint64(64 - BUCKET_BITS)


class FingerprintScanner:
    """Finds windows of which some group has a fingerprint.

    Args:
        groups: fingerprints of each group.
        key: under which they were made.
    """

    def __init__(self, groups: Sequence[Fingerprints], *, key: bytes) -> None:
        self._key = key
        self._factor = np.uint64(factor(key))
        self._owners: dict[bytes, list[tuple[int, int]]] = {}
        self._table = np.zeros(1 << BUCKET_BITS, dtype=np.bool_)
        for group, fingerprints in enumerate(groups):
            for place, (number, code) in enumerate(fingerprints.pairs):
                self._table[number] = True
                self._owners.setdefault(code, []).append((group, place))

    def scan(self, path: Path) -> set[tuple[int, int]]:
        """Return (group, place of the fingerprint) of everything met in the file."""
        found: set[tuple[int, int]] = set()
        carried = b""
        if not self._owners:
            return found
        with path.open("rb") as stream:
            while piece := stream.read(_READ_BYTES):
                data = carried + piece
                self._scan_bytes(data, found=found)
                carried = data[max(0, len(data) - WINDOW_BYTES + 1) :]
        return found

    def _scan_bytes(self, data: bytes, *, found: set[tuple[int, int]]) -> None:
        n_positions = len(data) - WINDOW_BYTES + 1
        for start in range(0, n_positions, _BLOCK):
            n = min(_BLOCK, n_positions - start)
            words = np.ndarray((n,), dtype="<u8", buffer=data, offset=start, strides=(1,))
            hashes = words * self._factor
            hashes >>= _SHIFT
            for place in np.flatnonzero(self._table[hashes.view(np.int64)]).tolist():
                window = data[start + place : start + place + WINDOW_BYTES]
                found.update(self._owners.get(mac(window, key=self._key), ()))
