"""A small world in which the methods that unlearn are tested: two tastes, 48 users, 40 items."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.data import Dataset
from benchmarks.unlearning.protocol import Interactions, Setup, Value

Loaded = Any
"""What comes from a module that is imported only when its test runs."""

N_USERS = 48
N_ITEMS = 40
QUICK = {"rate": 0.03, "decay": 0.003, "batch": 128, "dim": 8, "max_epochs": 10, "every": 5}
EVERYBODY = np.arange(N_USERS)


def histories(
    *, seed: int = 7, n_users: int = N_USERS
) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    """Even users like items below 20, odd ones the others, and everybody some of all."""
    rng = np.random.default_rng(seed)
    weights = np.ones((2, N_ITEMS))
    weights[0, :20] = weights[1, 20:] = 6
    weights /= weights.sum(axis=1, keepdims=True)
    return [
        np.sort(
            rng.choice(N_ITEMS, size=int(rng.integers(8, 16)), replace=False, p=weights[user % 2])
        )
        for user in range(n_users)
    ]


def world() -> tuple[Interactions, Interactions]:
    """Return the training and the validation part."""
    every = histories()
    train = Interactions.of([row[::2] for row in every], n_items=N_ITEMS)
    return train, Interactions.of([row[1::2] for row in every], n_items=N_ITEMS)


def setup(backbone: str, **setting: Value) -> Setup:
    """Return a set-up that is fitted in a fraction of a second."""
    every = histories()
    _, valid = world()
    dataset = Dataset(
        name="toy",
        histories=every,
        n_items=N_ITEMS,
        item_ids=[str(item) for item in range(N_ITEMS)],
        titles=[f"Film {item}" for item in range(N_ITEMS)],
        traits=np.repeat(np.eye(2), 20, axis=0),
    )
    return Setup(dataset, valid, backbone, QUICK, seed=3, setting=setting)


def method(name: str) -> ModuleType:
    """Return a module of methods; some need torch, so none is imported before its test runs."""
    return import_module(f"benchmarks.unlearning.methods.{name}")
