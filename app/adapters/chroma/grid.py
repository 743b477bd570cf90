"""Rounds vectors so that Chroma's normalisation does not change the bytes a probe looks for.

Chroma's cosine space gives back a vector divided by its norm, while its queue, its journals and
freed pages hold the bytes that were written; a probe for the returned vector would look for
bytes that were never stored. With 12 bits of each mantissa kept, the written bytes follow from the
returned vector: its norm is off by 10^-5 at most, a tenth of half a step, and rounding to the grid
undoes that.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_DROPPED_BITS: Final = 11
_HALF_STEP: Final = np.uint32(1 << (_DROPPED_BITS - 1))
_KEPT: Final = np.uint32(0xFFFFFFFF ^ ((1 << _DROPPED_BITS) - 1))


def on_grid(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round each component to 12 bits of mantissa, halves away from zero; idempotent.

    Args:
        vectors: any shape, finite, unit norm along the last axis to a few 10^-5.

    Returns:
        The same shape; relative error of a component at most 2^-13, of a cosine some 10^-5.
    """
    bits = np.ascontiguousarray(vectors, dtype=np.float32).view(np.uint32)
    return ((bits + _HALF_STEP) & _KEPT).view(np.float32)
