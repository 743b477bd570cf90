"""What is like something disliked is not shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.domain.recommendation.repulsion import repelled

NONE: NDArray[np.float32] = np.zeros((0, 2), dtype=np.float32)


def at(*degrees: float) -> NDArray[np.float32]:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_what_is_near_to_the_disliked_is_left_out_and_what_is_far_is_not() -> None:
    assert repelled(at(0, 20, 60), liked=NONE, disliked=at(0)).tolist() == [True, True, False]


def test_what_is_nearer_to_the_liked_stays() -> None:
    assert repelled(at(5, 15), liked=at(20), disliked=at(0)).tolist() == [True, False]


def test_nothing_is_left_out_where_nothing_is_disliked() -> None:
    assert repelled(at(0, 1), liked=at(0), disliked=NONE).tolist() == [False, False]
    assert repelled(NONE, liked=NONE, disliked=at(0)).tolist() == []
