"""The learned backbones: what makes a retrained system one that can be measured against."""

from __future__ import annotations

from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.unlearning.methods.retrain import Retrain
from benchmarks.unlearning.protocol import Interactions, Setup
from benchmarks.unlearning.scenarios import SCENARIOS
from benchmarks.unlearning.shared_fits import shared_fits
from benchmarks.unlearning.world import World
from tests.benchmarks.small_world import N_USERS, small_world

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:Sparse")]
EVERYBODY = np.arange(N_USERS)
SETTING = {"rate": 0.05, "decay": 0.001, "batch": 512, "dim": 16, "every": 2, "max_epochs": 12}


def fitted(
    world: World, backbone: str, *, seed: int = 0, without: Interactions | None = None
) -> Retrain:
    system = Retrain(Setup(world.dataset, world.valid, backbone, SETTING, seed))
    system.fit(world.train if without is None else world.train.without(without))
    return system


@pytest.mark.parametrize("backbone", ["bpr", "lightgcn"])
def test_same_seed_gives_the_same_bits_and_another_does_not(backbone: str) -> None:
    world = small_world()

    first, again = (fitted(world, backbone).exposed(EVERYBODY) for _ in range(2))

    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != fitted(world, backbone, seed=1).exposed(EVERYBODY).tobytes()


@pytest.mark.parametrize("backbone", ["bpr", "lightgcn"])
def test_retraining_is_a_fit_on_what_is_left(backbone: str) -> None:
    world = small_world()
    gone = SCENARIOS["users-random-5"](world, seed=0).gone()
    system = fitted(world, backbone)

    system.forget(gone)

    never = fitted(world, backbone, without=gone)
    assert system.scores(EVERYBODY).tobytes() == never.scores(EVERYBODY).tobytes()
    asked = np.unique(gone.users)
    popular = world.train.without(gone).degrees
    assert np.array_equal(system.scores(asked), np.tile(popular, (len(asked), 1)))


@pytest.mark.parametrize("backbone", ["bpr", "lightgcn"])
def test_copy_forgets_without_the_original(backbone: str) -> None:
    world = small_world()
    gone = SCENARIOS["users-random-5"](world, seed=0).gone()
    system = fitted(world, backbone)
    before = system.scores(EVERYBODY).tobytes()

    copy = deepcopy(system)
    assert copy.scores(EVERYBODY).tobytes() == before
    copy.forget(gone)
    learned, original = (vars(one)["backbone"].model for one in (copy, system))
    learned.table.data.zero_()

    assert system.scores(EVERYBODY).tobytes() == before
    assert original.table.abs().min() > 0


@pytest.mark.parametrize("backbone", ["bpr", "lightgcn"])
def test_shared_fit_is_the_same_to_the_bit_and_no_request_is_answered_from_it(
    backbone: str, tmp_path: Path
) -> None:
    world = small_world()
    gone = SCENARIOS["users-random-5"](world, seed=0).gone()
    made = fitted(world, backbone)
    with shared_fits(tmp_path) as first:
        fitted(world, backbone)
        fitted(world, backbone, without=gone)
    with shared_fits(tmp_path) as second:
        read = fitted(world, backbone)
        fitted(world, backbone, seed=1)
    kept = list(tmp_path.iterdir())

    assert first.spared_s == 0
    assert second.spared_s > 0
    assert len(kept) == 3
    assert read.scores(EVERYBODY).tobytes() == made.scores(EVERYBODY).tobytes()
    assert read.exposed(EVERYBODY).tobytes() == made.exposed(EVERYBODY).tobytes()
    for path in kept:
        path.write_bytes(b"no fit")
    read.forget(gone)
    made.forget(gone)
    assert read.scores(EVERYBODY).tobytes() == made.scores(EVERYBODY).tobytes()


@pytest.mark.parametrize("backbone", ["bpr", "lightgcn"])
def test_trained_backbone_is_better_than_popularity(backbone: str) -> None:
    world = small_world()
    tuning: Any = import_module("benchmarks.unlearning.tuning")
    plain = Retrain(Setup(world.dataset, world.valid, "popularity", {}, 0))
    plain.fit(world.train)

    trained = tuning.valid_ndcg(world, fitted(world, backbone), left=world.train)

    assert trained > tuning.valid_ndcg(world, plain, left=world.train)
