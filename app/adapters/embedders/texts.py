"""What all embedders do with texts, and the digest that names a model.

A text that says nothing (blank, or of no known word piece) gets the last axis, so
that it is near nothing; a lone surrogate is read as a question mark; and no error carries a text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

ID_DIGITS: Final = 12
"""Hexadecimal digits of a SHA-256 in an embedder's id: 48 bits, enough to tell models apart."""


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def blank_rows(n_texts: int, *, dim: int) -> Vectors:
    """Return (n_texts, dim) rows of the last axis, the vector of a text that says nothing."""
    rows = np.zeros((n_texts, dim), dtype=np.float32)
    rows[:, -1] = 1.0
    return rows


def readable(texts: Sequence[str]) -> list[str]:
    """Replace lone surrogates, which neither tokenizers nor JSON in UTF-8 can carry."""
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]


def batches(texts: list[str], *, size: int) -> Iterator[tuple[int, list[str]]]:
    """Yield (position of the first, texts) in runs of at most ``size``."""
    for start in range(0, len(texts), size):
        yield start, texts[start : start + size]
