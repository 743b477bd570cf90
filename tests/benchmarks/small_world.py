"""A data set of a hundred users, whom two tastes divide."""

from __future__ import annotations

import numpy as np

from benchmarks.data import Dataset
from benchmarks.unlearning.protocol import Setup
from benchmarks.unlearning.world import World

N_USERS, N_ITEMS = 100, 80


def small_dataset() -> Dataset:
    rng = np.random.default_rng(11)
    weights = 1 / np.arange(1, N_ITEMS + 1) ** 0.6
    histories = []
    for user in range(N_USERS):
        liked = weights * np.where(np.arange(N_ITEMS) % 2 == user % 2, 6.0, 1.0)
        chosen = rng.choice(
            N_ITEMS, int(rng.integers(12, 36)), replace=False, p=liked / liked.sum()
        )
        histories.append(np.sort(chosen))
    traits = np.zeros((N_ITEMS, 19))
    traits[::7, 11] = 1
    names = [str(item) for item in range(N_ITEMS)]
    return Dataset("small", histories, N_ITEMS, item_ids=names, traits=traits, titles=names)


def small_world() -> World:
    return World.of(small_dataset())


def small_setup(world: World, *, backbone: str = "ease", seed: int = 0) -> Setup:
    settings = {"ease": {"regularisation": 20.0}, "popularity": {}}
    return Setup(world.dataset, world.valid, backbone, settings.get(backbone, {}), seed)
