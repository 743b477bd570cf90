"""Hides embeddings: each is rotated by an orthogonal transform that only its owner's key gives.

One transform is three rounds of random signs and a normalised Walsh-Hadamard transform, a fast
stand-in for a random rotation (Andoni et al., NeurIPS 2015, section 5). It is drawn anew for
every record. One transform for all records of a user would keep their cosines, and cosines alone
tell which catalogue items they are: ``docs/decisions/0015-keys-per-user.md`` has the attack.

Nothing here may be changed while there are stored vectors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

KEY_BYTES: Final = 32
_ROUNDS: Final = 3
_DOMAIN: Final = b"lethe/rotation/v1"
_RATE_BYTES: Final = 136  # one block of SHAKE-256, FIPS 202


def quantise(vectors: Floats, *, bits: int = 13) -> Floats:
    """Round every coordinate of unit vectors to a multiple of 2^-bits.

    Quantised to 13 bits before it is rotated and again after it is rotated back, a vector of 128
    dimensions or more keeps its bits whatever its key: a transform and a store that keeps 12 bits
    of each coordinate move it by less than half a step. Without that, the last bits of a user's
    memories would depend on a random key, and so would the order of items that are nearly tied.
    It changes a cosine by some 2e-5, and by 3e-4 at most on the demo's books.
    """
    grid = np.float32(2.0**-bits)
    steps = np.round(vectors / grid)
    # The sum makes -0 to 0, which compares equal and has other bits.
    return steps * grid + np.float32(0)


def rotate(vectors: Floats, *, keys: Sequence[bytes], labels: Sequence[str]) -> Floats:
    """Turn each vector by the transform of its key and label.

    Norms are kept, and so are dot products under one key and label, up to float32 rounding. A
    row's result has the same bits whatever the other rows are.

    Args:
        vectors: shape (n, dim), dim >= 2.
        keys: n times 32 secret bytes, used for nothing else.
        labels: n names, such as record ids.

    Returns:
        Shape (n, dim).

    Raises:
        ValueError: a key of another size, or other numbers of keys or labels.
    """
    signs = _signs(keys, labels, shape=vectors.shape)
    turned = _columns(vectors)
    for number in range(_ROUNDS):
        turned = _mix(turned * signs[number])
    return np.ascontiguousarray(turned.T)


def unrotate(vectors: Floats, *, keys: Sequence[bytes], labels: Sequence[str]) -> Floats:
    """Undo ``rotate`` with the same keys and labels, up to float32 rounding."""
    signs = _signs(keys, labels, shape=vectors.shape)
    turned = _columns(vectors)
    for number in reversed(range(_ROUNDS)):
        turned = _unmix(turned) * signs[number]
    return np.ascontiguousarray(turned.T)


def _columns(vectors: Floats) -> Floats:
    """Return the vectors as columns: each step then runs along memory, 10 times as fast."""
    return np.ascontiguousarray(vectors.T, dtype=np.float32)


def _signs(keys: Sequence[bytes], labels: Sequence[str], *, shape: tuple[int, ...]) -> Floats:
    """Return signs of shape (rounds, dim, n), from SHAKE-256 with the key as its first block.

    A sponge whose first block is the key is a pseudo-random function (KMAC, NIST SP 800-185, is
    built so), and gives as many bytes as any dimension needs.
    """
    n, dim = shape
    if n != len(labels):
        message = f"{n} vectors with {len(labels)} labels"
        raise ValueError(message)
    if any(len(key) != KEY_BYTES for key in keys):
        message = f"a rotation key has {KEY_BYTES} bytes"
        raise ValueError(message)
    keyed = {key: hashlib.shake_256((_DOMAIN + key).ljust(_RATE_BYTES, b"\0")) for key in set(keys)}
    n_bytes = -(-_ROUNDS * dim // 8)
    stream = bytearray()
    for key, label in zip(keys, labels, strict=True):
        sponge = keyed[key].copy()
        sponge.update(label.encode())
        stream += sponge.digest(n_bytes)
    drawn = np.frombuffer(stream, dtype=np.uint8).reshape(n, n_bytes)
    bits = np.unpackbits(drawn, axis=1, count=_ROUNDS * dim)
    signs = 1.0 - 2.0 * bits.T.astype(np.float32)
    return signs.reshape(_ROUNDS, dim, n)


def _mix(columns: Floats) -> Floats:
    """Spread every coordinate over all others, in place.

    A dimension that is no power of two is covered by two overlapping transforms. Dealing the
    coordinates out like cards comes first, so that the next round meets both halves mixed.
    """
    dim = len(columns)
    block = _block(dim)
    if block == dim:
        return _hadamard(columns)
    dealt = columns[_deal(dim)]
    dealt[:block] = _hadamard(dealt[:block])
    dealt[-block:] = _hadamard(dealt[-block:])
    return dealt


def _unmix(columns: Floats) -> Floats:
    """Undo ``_mix``: each transform is its own inverse."""
    dim = len(columns)
    block = _block(dim)
    if block == dim:
        return _hadamard(columns)
    dealt = columns.copy()
    dealt[-block:] = _hadamard(dealt[-block:])
    dealt[:block] = _hadamard(dealt[:block])
    gathered = np.empty_like(dealt)
    gathered[_deal(dim)] = dealt
    return gathered


def _block(dim: int) -> int:
    """Return the largest power of two that is no larger than ``dim``."""
    return 1 << (dim.bit_length() - 1)


def _deal(dim: int) -> NDArray[np.intp]:
    return np.concatenate([np.arange(0, dim, 2), np.arange(1, dim, 2)])


def _hadamard(columns: Floats) -> Floats:
    """Return the normalised Walsh-Hadamard transform of each column; length a power of two."""
    size, n = columns.shape
    turned = columns
    half = 1
    while half < size:
        pairs = turned.reshape(size // (2 * half), 2, half, n)
        summed = np.empty_like(pairs)
        np.add(pairs[:, 0], pairs[:, 1], out=summed[:, 0])
        np.subtract(pairs[:, 0], pairs[:, 1], out=summed[:, 1])
        turned = summed.reshape(size, n)
        half *= 2
    return turned * np.float32(size**-0.5)
