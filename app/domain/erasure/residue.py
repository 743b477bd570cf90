"""Needles (what must be gone), their byte forms, and residue (needles that a probe still found)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

MIN_PATTERN_BYTES: Final = 8
"""Shorter forms are met by chance: 300 MB hold every 3-byte string and many 4-byte ones."""
SLICE_BYTES: Final = 64
"""SQLite spreads a vector over pages; 16 floats of it in a row are proof enough."""
DOCUMENT_SLICE_BYTES: Final = 32


class NeedleKind(StrEnum):
    """What a needle is."""

    TEXT = "text"
    DOCUMENT = "document"
    ID = "id"
    PSEUDONYM = "pseudonym"
    KEY = "key"
    VECTOR = "vector"
    TRACE = "trace"


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Fingerprints of destroyed needles: (bucket, MAC), see ``app.domain.erasure.fingerprint``."""

    pairs: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Needles:
    """Everything of a user that no file may hold any more. Kept in memory only, or sealed.

    Args:
        texts: in clear; searched whole, because a part of one may be anybody's words.
        documents: as the store holds them (ciphertext), like nobody else's; searched in parts.
        ids: record ids and event keys; hexadecimal ones also in binary form.
        pseudonyms: likewise.
        keys: raw key bytes; also searched in hexadecimal and base64.
        vectors: each of shape (dim,), as given to the store.
        fingerprints: all that is left of the needles of a finished erasure.
    """

    texts: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    pseudonyms: tuple[str, ...] = ()
    keys: tuple[bytes, ...] = ()
    vectors: tuple[NDArray[np.float32], ...] = ()
    fingerprints: Fingerprints = Fingerprints()

    def count(self, kind: NeedleKind) -> int:
        """Return how many needles of a kind there are."""
        return len(
            {
                NeedleKind.TEXT: self.texts,
                NeedleKind.DOCUMENT: self.documents,
                NeedleKind.ID: self.ids,
                NeedleKind.PSEUDONYM: self.pseudonyms,
                NeedleKind.KEY: self.keys,
                NeedleKind.VECTOR: self.vectors,
                NeedleKind.TRACE: self.fingerprints.pairs,
            }[kind]
        )


@dataclass(frozen=True, slots=True)
class Pattern:
    """Bytes whose presence in a file proves that a needle is left.

    Args:
        kind: of the needle.
        needle: its index among those of its kind.
        data: at least MIN_PATTERN_BYTES bytes.
    """

    kind: NeedleKind
    needle: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """Needles of one kind that one file still holds.

    Args:
        file: relative to the store; says nothing about a person.
        needles: how many distinct ones, >= 1.
    """

    kind: NeedleKind
    file: str
    needles: int


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What the search of one store found. Holds no personal data.

    Args:
        patterns: byte strings that were searched for, the control's not counted.
        findings: by file; a needle met in two files is in both.
        left: of each kind met, how many distinct needles, wherever they lie.
        control_found: every kind of canary that the store should hold was found in the same
            search; without that, an empty ``findings`` means nothing.
        seconds: wall time.
    """

    store: str
    files: int
    bytes_read: int
    patterns: int
    findings: tuple[Finding, ...]
    left: tuple[tuple[NeedleKind, int], ...]
    control_found: bool
    seconds: float

    @property
    def residue(self) -> int:
        """Return how many needles were found."""
        return sum(n for _, n in self.left)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left, found by a search that can find."""
        return self.control_found and not self.findings


def patterns(needles: Needles) -> list[Pattern]:
    """Return every byte form in which a needle may lie in a file, the searchable ones only."""
    found = [
        *_forms(NeedleKind.TEXT, [_text_forms(text) for text in needles.texts]),
        *_forms(NeedleKind.DOCUMENT, [_document_forms(text) for text in needles.documents]),
        *_forms(NeedleKind.ID, [_id_forms(text) for text in needles.ids]),
        *_forms(NeedleKind.PSEUDONYM, [_id_forms(text) for text in needles.pseudonyms]),
        *_forms(NeedleKind.KEY, [_key_forms(key) for key in needles.keys]),
        *_forms(NeedleKind.VECTOR, [_vector_forms(vector) for vector in needles.vectors]),
    ]
    return [pattern for pattern in found if len(pattern.data) >= MIN_PATTERN_BYTES]


def _forms(kind: NeedleKind, forms: list[set[bytes]]) -> Iterator[Pattern]:
    for needle, datas in enumerate(forms):
        for data in sorted(datas):
            yield Pattern(kind, needle, data)


def _text_forms(text: str) -> set[bytes]:
    """UTF-8, and as JSON writes it in a log or a queue."""
    return {text.encode(), json.dumps(text)[1:-1].encode()}


def _document_forms(text: str) -> set[bytes]:
    """Whole, and cut: a page boundary may fall anywhere in it."""
    raw = text.encode()
    return {raw, *_slices(raw, length=DOCUMENT_SLICE_BYTES)}


def _id_forms(text: str) -> set[bytes]:
    forms = {text.encode()}
    try:
        forms.add(bytes.fromhex(text))
    except ValueError:
        return forms  # not hexadecimal: the text is its only form
    return forms


def _key_forms(key: bytes) -> set[bytes]:
    # base64 without its last group, which depends on what follows the key in a longer string.
    encoded = {base64.b64encode(key), base64.urlsafe_b64encode(key)}
    return {key, key.hex().encode(), *(form[: len(key) // 3 * 4] for form in encoded)}


def _vector_forms(vector: NDArray[np.float32]) -> set[bytes]:
    """Slices of the vector as given and at norm 1: Chroma's cosine space stores the latter."""
    raw = np.ascontiguousarray(vector, dtype="<f4")
    norm = float(np.linalg.norm(raw))
    unit = raw / np.float32(norm) if norm else raw
    return {
        piece
        for form in (raw.tobytes(), unit.astype("<f4").tobytes())
        for piece in (_slices(form, length=SLICE_BYTES) or {form})
        if any(piece)  # a run of zeros is everywhere
    }


def _slices(raw: bytes, *, length: int) -> set[bytes]:
    """Return the consecutive whole pieces of ``raw``."""
    starts = range(0, len(raw) - length + 1, length)
    return {raw[start : start + length] for start in starts}
