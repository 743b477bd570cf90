from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.adapters.chroma.grid import on_grid


def unit_rows(seed: int, *, dim: int = 256) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((20, dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


@given(st.integers(0, 2**32))
def test_what_was_written_follows_from_what_chroma_gives_back(seed: int) -> None:
    written = on_grid(unit_rows(seed))
    given_back = written / np.linalg.norm(written, axis=1, keepdims=True)

    assert on_grid(given_back).tobytes() == written.tobytes()


@given(st.integers(0, 2**32))
def test_the_grid_hardly_moves_a_cosine(seed: int) -> None:
    rows = unit_rows(seed)

    assert np.abs(on_grid(rows) @ rows.T - rows @ rows.T).max() < 5e-5


def test_zeros_and_an_axis_stay_what_they_are() -> None:
    rows = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0]], dtype=np.float32)

    assert on_grid(rows).tobytes() == rows.tobytes()
