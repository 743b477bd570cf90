"""The laws of the hidden embeddings."""

from __future__ import annotations

import secrets

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.privacy.rotation import Floats, quantise, rotate, unrotate

DIMS = (2, 3, 31, 256, 257, 384, 511, 768)
KEY = bytes(range(32))
FROZEN = [[-3.0, -1.0, 4.0, -2.0], [-2.0, 0.0, -13.0, -1.0]]


def unit_vectors(n: int, *, dim: int, seed: int = 1) -> Floats:
    rows = np.random.default_rng(seed).standard_normal((n, dim), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def labels_of(n: int) -> list[str]:
    return [secrets.token_hex(16) for _ in range(n)]


@given(
    dim=st.integers(2, 400),
    key=st.binary(min_size=32, max_size=32),
    label=st.text(max_size=40),
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(1e-3, 1e3),
)
def test_norms_and_dot_products_are_kept_under_one_label(
    dim: int, key: bytes, label: str, seed: int, scale: float
) -> None:
    vectors = unit_vectors(4, dim=dim, seed=seed) * np.float32(scale)

    turned = rotate(vectors, keys=[key] * 4, labels=[label] * 4)

    assert turned.dtype == np.float32
    np.testing.assert_allclose(turned @ turned.T, vectors @ vectors.T, atol=1e-5 * scale**2)
    np.testing.assert_allclose(
        unrotate(turned, keys=[key] * 4, labels=[label] * 4), vectors, atol=1e-5 * scale
    )


@given(
    dim=st.integers(128, 800),
    key=st.binary(min_size=32, max_size=32),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_vector_on_the_grid_keeps_its_bits_when_a_store_keeps_12(
    dim: int, key: bytes, seed: int
) -> None:
    vectors = unit_vectors(4, dim=dim, seed=seed)
    gridded, labels = quantise(vectors), labels_of(4)

    turned = rotate(gridded, keys=[key] * 4, labels=labels)
    mantissas, exponents = np.frexp(turned)
    stored = np.ldexp(np.round(mantissas * 2**12) / 2**12, exponents)
    back = quantise(unrotate(stored, keys=[key] * 4, labels=labels))

    assert back.tobytes() == gridded.tobytes()
    np.testing.assert_allclose(gridded @ gridded.T, vectors @ vectors.T, atol=1e-3)


@pytest.mark.parametrize("dim", DIMS)
def test_the_transform_is_an_orthogonal_matrix(dim: int) -> None:
    matrix = rotate(np.eye(dim, dtype=np.float32), keys=[KEY] * dim, labels=["x"] * dim)

    np.testing.assert_allclose(matrix @ matrix.T, np.eye(dim), atol=1e-5)


@pytest.mark.parametrize("dim", [256, 384, 511])
def test_other_keys_and_labels_turn_a_vector_elsewhere(dim: int) -> None:
    n = 400
    vector = np.repeat(unit_vectors(1, dim=dim), n, axis=0)
    by_label = rotate(vector, keys=[KEY] * n, labels=labels_of(n))
    keys = [secrets.token_bytes(32) for _ in range(n)]
    by_key = rotate(vector, keys=keys, labels=["x"] * n)
    chance = np.sqrt(2 / (np.pi * dim))  # mean |cosine| of two random directions

    for turned in (by_label, by_key):
        cosines = np.abs(turned @ turned.T)[np.triu_indices(n, 1)]
        assert cosines.mean() == pytest.approx(chance, rel=0.05)
        assert np.abs(turned @ vector[0]).mean() == pytest.approx(chance, rel=0.15)
        assert cosines.max() < 0.5


@pytest.mark.parametrize("dim", [256, 384])
def test_a_single_coordinate_is_spread_over_all(dim: int) -> None:
    turned = rotate(np.eye(dim, dtype=np.float32), keys=[KEY] * dim, labels=labels_of(dim))

    assert np.abs(turned).max() < 8 / np.sqrt(dim)


def test_nothing_comes_back_by_another_key_or_label() -> None:
    vectors, labels = unit_vectors(50, dim=256), labels_of(50)
    turned = rotate(vectors, keys=[KEY] * len(vectors), labels=labels)

    wrong = [
        unrotate(turned, keys=[secrets.token_bytes(32)] * 50, labels=labels),
        unrotate(turned, keys=[KEY] * 50, labels=labels[::-1]),
    ]

    assert all(np.abs((found * vectors).sum(axis=1)).max() < 0.4 for found in wrong)


@pytest.mark.parametrize("dim", DIMS)
def test_a_row_has_the_same_bits_in_any_batch(dim: int) -> None:
    vectors, labels = unit_vectors(33, dim=dim), labels_of(33)
    together = rotate(vectors, keys=[KEY] * len(vectors), labels=labels)

    alone = [rotate(vectors[i : i + 1], keys=[KEY], labels=labels[i : i + 1])[0] for i in range(33)]

    assert np.array_equal(together, np.stack(alone))


def test_the_transform_stays_what_it_is() -> None:
    """Stored vectors come back by this very transform and no other."""
    vectors = np.arange(1, 9, dtype=np.float32).reshape(2, 4)

    turned = rotate(vectors, keys=[KEY] * 2, labels=["a", "b"])

    np.testing.assert_allclose(turned, FROZEN, atol=1e-6)


def test_nothing_is_turned_to_nothing() -> None:
    assert rotate(np.empty((0, 256), dtype=np.float32), keys=[], labels=[]).shape == (0, 256)


def test_wrong_sizes_are_refused() -> None:
    vectors = unit_vectors(2, dim=4)

    with pytest.raises(ValueError, match="32 bytes"):
        rotate(vectors, keys=[KEY, b"short"], labels=["a", "b"])
    with pytest.raises(ValueError, match="1 labels"):
        unrotate(vectors, keys=[KEY], labels=["a"])
    with pytest.raises(ValueError, match="argument"):
        unrotate(vectors, keys=[KEY], labels=["a", "b"])
