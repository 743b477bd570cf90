"""The header of a Chroma index directory: the layout of the slots in ``data_level0.bin``."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FORMAT: Final = struct.Struct("<i6Q")
HEADER_FILE: Final = "header.bin"
SLOTS_FILE: Final = "data_level0.bin"


@dataclass(frozen=True, slots=True)
class HnswHeader:
    """The fields of ``header.bin``; sizes and offsets in bytes.

    Args:
        capacity: slots allocated in the file.
        count: slots ever used; a deleted record keeps its slot.
        slot_size: one slot: links, vector, label.
        label_offset: of the label in a slot.
        data_offset: of the vector in a slot; it ends where the label begins.
    """

    capacity: int
    count: int
    slot_size: int
    label_offset: int
    data_offset: int

    @property
    def dim(self) -> int:
        """Return the dimensions of a vector (float32)."""
        return (self.label_offset - self.data_offset) // 4

    @property
    def is_sound(self) -> bool:
        """Whether the numbers are consistent."""
        return (
            0 < self.data_offset < self.label_offset < self.slot_size
            and self.count <= self.capacity
        )


def read_header(directory: Path) -> HnswHeader | None:
    """Return the header of an index directory, None where there is none yet.

    Raises:
        ValueError: there is one, but not of the known format.
    """
    path = directory / HEADER_FILE
    if not path.is_file():
        return None
    raw = path.read_bytes()
    if len(raw) < _FORMAT.size:
        message = "the index header is too short"
        raise ValueError(message)
    _version, _offset, capacity, count, slot_size, label_offset, data_offset = _FORMAT.unpack_from(
        raw
    )
    header = HnswHeader(capacity, count, slot_size, label_offset, data_offset)
    if not header.is_sound:
        message = "the index header is of another format"
        raise ValueError(message)
    return header
