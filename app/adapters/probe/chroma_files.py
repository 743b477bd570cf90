"""What a byte search of a Chroma directory cannot see: renormalised vectors, trigrams."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.adapters.chroma.maintenance import DATABASE_FILE
from app.adapters.probe.fts5 import FullTextIndex
from app.adapters.probe.index_slots import similar_slots

_TABLE: Final = "embedding_fulltext_search"
_TRIGRAM: Final = 3
_SAMPLED_TRIGRAMS: Final = 24
"""Of each document; a deleted row leaves all of its trigrams or, half merged, a range of them."""
_ENOUGH: Final = 0.5
"""Share of the sample under one dead row; another text by chance shares 1 in 1,000."""


def index_residue(segment: Path, *, vectors: Sequence[NDArray[np.float32]]) -> set[int]:
    """Return the numbers of the vectors that lie in some slot of an index.

    Raises:
        ValueError: the index is of an unknown format.
    """
    found: set[int] = set()
    by_dim: dict[int, list[int]] = {}
    for number, vector in enumerate(vectors):
        if np.linalg.norm(vector) > 0:
            by_dim.setdefault(len(vector), []).append(number)
    for numbers in by_dim.values():
        stacked = np.stack([vectors[number] for number in numbers]).astype(np.float32)
        stacked /= np.linalg.norm(stacked, axis=1, keepdims=True)
        found.update(numbers[row] for row in similar_slots(segment, vectors=stacked))
    return found


def full_text_residue(directory: Path, *, documents: Sequence[str]) -> set[int]:
    """Return the numbers of the documents whose trigrams are still listed under a dead row.

    Must not be called in a process that has a Chroma client open (POSIX locks are per process).

    Raises:
        sqlite3.Error: the database cannot be read.
    """
    uri = f"{(directory / DATABASE_FILE).absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=60.0)) as connection:
        index = FullTextIndex(connection, table=_TABLE)
        found: set[int] = set()
        for number, document in enumerate(documents):
            sample = _sample(document)
            if not sample:
                continue  # shorter than a trigram: never in the index
            listed = np.concatenate([index.rowids(trigram) for trigram in sample])
            rows, n_shared = np.unique(listed, return_counts=True)
            likely = rows[n_shared >= _ENOUGH * len(sample)].tolist()
            if any(not index.is_live(row) for row in likely):
                found.add(number)
        return found


def _sample(document: str) -> list[str]:
    """Return distinct trigrams from all over the document, folded as the tokenizer does."""
    folded = document.lower()
    distinct = sorted({folded[i : i + _TRIGRAM] for i in range(len(folded) - _TRIGRAM + 1)})
    step = max(1, len(distinct) // _SAMPLED_TRIGRAMS)
    return distinct[::step]
