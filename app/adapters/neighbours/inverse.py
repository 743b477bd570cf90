"""The inverse of a symmetric matrix, without stopping the rest of the process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from threadpoolctl import ThreadpoolController

Floats = NDArray[np.float64]

_BLOCK = 512


def invert(matrix: Floats) -> Floats:
    """Invert a symmetric positive definite matrix in place; return it.

    Cholesky, then the inverse of the factor, then their product: n^3 multiplications and
    additions. Blocked over numpy's product because LAPACK's own routines, as scipy wraps
    them, hold the interpreter's lock to the end, seconds for a few thousand items, in which
    nothing could be served. One BLAS thread: with two, the last bits differ.

    Args:
        matrix: shape (n, n), float64, C order; only the lower triangle is read; overwritten.

    Raises:
        numpy.linalg.LinAlgError: the matrix is not positive definite.
    """
    with ThreadpoolController().limit(limits=1, user_api="blas"):
        blocks = [slice(at, min(at + _BLOCK, len(matrix))) for at in range(0, len(matrix), _BLOCK)]
        _factor(matrix, blocks)
        _invert_factor(matrix, blocks)
        _multiply_factor(matrix, blocks)
    return matrix


def _factor(matrix: Floats, blocks: Sequence[slice]) -> None:
    """Put L below the diagonal, where matrix = L L'; on the diagonal blocks, L's inverse."""
    for at, block in enumerate(blocks):
        lower = np.linalg.cholesky(matrix[block, block])
        inverse, _ = lapack.dtrtri(lower, lower=1)
        matrix[block, block] = np.tril(inverse)
        below = blocks[at + 1 :]
        for row in below:
            matrix[row, block] = matrix[row, block] @ matrix[block, block].T
        for row in below:
            rest = slice(block.stop, row.stop)
            matrix[row, rest] -= matrix[row, block] @ matrix[rest, block].T


def _invert_factor(matrix: Floats, blocks: Sequence[slice]) -> None:
    """Replace L by its inverse, row block by row block."""
    for at, row in enumerate(blocks):
        for column in blocks[:at]:
            between = slice(column.start, row.start)
            matrix[row, column] = matrix[row, between] @ matrix[between, column]
        left = slice(0, row.start)
        matrix[row, left] = -(matrix[row, row] @ matrix[row, left])


def _multiply_factor(matrix: Floats, blocks: Sequence[slice]) -> None:
    """Replace L^-1 by (L^-1)' L^-1, and mirror it."""
    for row in blocks:
        below = slice(row.start, None)
        left = slice(0, row.stop)
        matrix[row, left] = matrix[below, row].T @ matrix[below, left]
    for row in blocks:
        matrix[: row.start, row] = matrix[row, : row.start].T
        # BLAS may round the two halves of a block apart: which of its kernels runs, and where
        # their edges lie, is the processor's affair.
        matrix[row, row] = np.tril(matrix[row, row]) + np.tril(matrix[row, row], -1).T
