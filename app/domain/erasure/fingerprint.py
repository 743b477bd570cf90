"""Keyed fingerprints of needles: they recognise what must be gone and cannot be reversed.

An erasure destroys its needles at the end, so a later search uses fingerprints. For each byte
form two values are kept: a bucket, which rules out nearly every position of a file, and a MAC. The
key is derived from the pepper and stored nowhere.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from typing import Final

from app.domain.erasure.residue import Fingerprints, NeedleKind, Needles, patterns

WINDOW_BYTES: Final = 16
"""Bytes of a form that are fingerprinted, from its beginning. Binary ids are as short as that."""
BUCKET_BITS: Final = 22
MOST: Final = 1_000
"""Most fingerprints of one erasure; of more forms every n-th is taken, so each kind is covered."""
_WORD_BYTES: Final = 8
_MAC_BYTES: Final = 16
_WORDS: Final = 1 << 64


def fingerprints_of(needles: Needles, *, key: bytes) -> Fingerprints:
    """Return fingerprints of all needles but texts, which somebody could guess."""
    forms = [
        pattern.data[:WINDOW_BYTES]
        for pattern in patterns(needles)
        if pattern.kind is not NeedleKind.TEXT and len(pattern.data) >= WINDOW_BYTES
    ]
    distinct = list(dict.fromkeys(forms))
    step = -(-len(distinct) // MOST) or 1
    return Fingerprints(
        tuple((bucket(form, key=key), mac(form, key=key)) for form in distinct[::step])
    )


def factor(key: bytes) -> int:
    """Return the odd number that buckets are hashed with."""
    return int.from_bytes(hmac.digest(key, b"bucket", "sha256")[:_WORD_BYTES], "little") | 1


def bucket(window: bytes, *, key: bytes) -> int:
    """Return the bucket of a window by its first 8 bytes: multiplicative, BUCKET_BITS wide."""
    word = int.from_bytes(window[:_WORD_BYTES], "little")
    return (word * factor(key)) % _WORDS >> 64 - BUCKET_BITS


def mac(window: bytes, *, key: bytes) -> bytes:
    """Return the MAC of a window's first WINDOW_BYTES bytes."""
    return hmac.digest(key, b"print" + window[:WINDOW_BYTES], "sha256")[:_MAC_BYTES]


def encode(fingerprints: Fingerprints) -> str:
    """Return ASCII that ``decode`` reads."""
    raw = b"".join(number.to_bytes(4, "big") + code for number, code in fingerprints.pairs)
    return base64.b64encode(raw).decode()


def decode(text: str) -> Fingerprints:
    """Read what ``encode`` wrote."""
    raw, size = base64.b64decode(text), 4 + _MAC_BYTES
    pieces: Sequence[bytes] = [raw[start : start + size] for start in range(0, len(raw), size)]
    return Fingerprints(tuple((int.from_bytes(one[:4], "big"), one[4:]) for one in pieces))
