"""Search the vectors in a Chroma index file, slots of deleted records included."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.adapters.chroma.hnsw_header import SLOTS_FILE, HnswHeader, read_header

SAME_COSINE: Final = 0.999
"""Chroma renormalises: of 20 vectors only 5 to 7 were left bit for bit, all above this cosine."""
_BLOCK_SLOTS: Final = 4_096


def similar_slots(segment: Path, *, vectors: NDArray[np.float32]) -> set[int]:
    """Return the rows of ``vectors`` that lie in some slot of the index.

    Args:
        segment: directory of an index.
        vectors: shape (n, dim), unit norm.

    Returns:
        Row numbers; empty where the index has another dimension or no file yet.

    Raises:
        ValueError: the index is of an unknown format, so nothing can be said about it.
    """
    header = read_header(segment)
    path = segment / SLOTS_FILE
    if header is None or not path.is_file() or header.dim != vectors.shape[1]:
        return set()
    found: set[int] = set()
    block_bytes = _BLOCK_SLOTS * header.slot_size
    with path.open("rb") as stream:
        while block := stream.read(block_bytes):
            found.update(_similar(block, header=header, vectors=vectors))
    return found


def _similar(block: bytes, *, header: HnswHeader, vectors: NDArray[np.float32]) -> set[int]:
    """Compare every slot in the block, beyond ``count`` too: the file may hold older heap."""
    n_slots = len(block) // header.slot_size
    slots = np.frombuffer(block, np.uint8, count=n_slots * header.slot_size)
    raw = slots.reshape(n_slots, header.slot_size)[:, header.data_offset : header.label_offset]
    stored = np.ascontiguousarray(raw).view("<f4")
    with np.errstate(all="ignore"):  # an unused slot may hold any bits
        norms = np.linalg.norm(stored.astype(np.float64), axis=1)
        usable = np.isfinite(norms) & (norms > 0)
        unit = (stored[usable] / norms[usable, np.newaxis]).astype(np.float32)
        return set(np.flatnonzero((unit @ vectors.T > SAME_COSINE).any(axis=0)).tolist())
