from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from benchmarks.unlearning.partitions import (
    balanced_k_means,
    balanced_labels,
    fill_nearest,
    random_parts,
    transported,
)


def _blobs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    blob = np.arange(60) % 3
    return blob, np.eye(3)[blob] * 10 + rng.normal(size=(60, 3))


def test_parts_of_the_rest_stay_when_keys_are_taken_away() -> None:
    keys = np.arange(1000)
    assert np.array_equal(
        random_parts(keys, parts=7, seed=5)[::3], random_parts(keys[::3], parts=7, seed=5)
    )


def test_random_parts_are_about_equal_and_differ_by_seed() -> None:
    sizes = np.bincount(random_parts(np.arange(10_000), parts=10, seed=0))
    assert sizes.min() > 900
    assert sizes.max() < 1100
    other = random_parts(np.arange(10_000), parts=10, seed=1)
    assert (random_parts(np.arange(10_000), parts=10, seed=0) == other).mean() < 0.15


def test_filling_equals_the_walk_over_all_pairs_by_distance() -> None:
    for seed in range(20):
        distances = np.random.default_rng(seed).random((50, 4))
        room, expected = [13] * 4, np.full(50, -1)
        for place in np.argsort(distances, axis=None):
            point, part = divmod(int(place), 4)
            if expected[point] < 0 and room[part]:
                expected[point], room[part] = part, room[part] - 1
        assert np.array_equal(fill_nearest(distances, capacity=13), expected)


def test_filling_refuses_when_the_parts_are_too_small() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        fill_nearest(np.ones((9, 2)), capacity=4)


@pytest.mark.parametrize("seed", range(5))
def test_k_means_centres_have_a_coordinate_each(seed: int) -> None:
    """RecEraser's released code averages over all axes; then these blobs cannot be told apart."""
    rng = np.random.default_rng(seed)
    blob = np.arange(60) % 2
    points = np.stack([np.where(blob == 1, 5.0, -5.0), np.where(blob == 1, -5.0, 5.0)], axis=1)
    points = points + rng.normal(size=(60, 2))
    found = balanced_k_means([points], parts=2, slack=1.0, seed=seed)
    assert len(set(zip(blob.tolist(), found.tolist(), strict=True))) == 2


def test_k_means_of_pairs_is_near_in_one_view_or_the_other() -> None:
    blob, points = _blobs()
    found = balanced_k_means([points, points[::-1]], parts=3, slack=1.2, seed=0)
    assert np.bincount(found).max() <= np.ceil(1.2 * 60 / 3)
    assert set(found.tolist()) == {0, 1, 2}
    assert len(blob) == len(found)


def test_labels_follow_the_edges_and_stay_balanced() -> None:
    blob, _ = _blobs()
    same = (blob[:, None] == blob[None]).astype(float)
    random_graph = np.random.default_rng(0).random((60, 60)) < 0.1
    affinity = scipy.sparse.csr_matrix(same + (random_graph | random_graph.T))
    found = balanced_labels(affinity, parts=3, slack=0.2, seed=0)
    assert np.bincount(found).max() <= np.ceil(60 / 3 * 1.2)
    kept = affinity.toarray()[found[:, None] == found[None]].sum() / affinity.sum()
    assert kept > 0.7  # a random balanced cut keeps a third


def test_transport_gives_equal_parts_of_near_points() -> None:
    blob, points = _blobs()
    found = transported(points, parts=3, seed=2)
    assert np.bincount(found).tolist() == [20, 20, 20]
    assert len(set(zip(blob.tolist(), found.tolist(), strict=True))) == 3
