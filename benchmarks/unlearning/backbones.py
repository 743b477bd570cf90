"""One place where backbones are made from their names."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from benchmarks.unlearning.closed import closed
from benchmarks.unlearning.protocol import Backbone, Setting, Setup

CLOSED: Final = ("popularity", "item_knn", "ease")
LEARNED: Final = ("bpr", "lightgcn")

GRIDS: Final[dict[str, tuple[Setting, ...]]] = {
    "popularity": ({},),
    "item_knn": tuple(
        {"n_neighbours": n, "alpha": alpha, "shrink": 20.0}
        for n in (60, 100, 200)
        for alpha in (0.6, 0.9)
    ),
    "ease": tuple({"regularisation": value} for value in (150.0, 300.0, 600.0, 900.0)),
    "bpr": (
        {"rate": 0.002, "decay": 0.01, "batch": 2048},
        {"rate": 0.005, "decay": 0.01, "batch": 2048},
        {"rate": 0.005, "decay": 0.003, "batch": 2048},
        {"rate": 0.005, "decay": 0.03, "batch": 2048},
        {"rate": 0.01, "decay": 0.01, "batch": 4096},
        {"rate": 0.01, "decay": 0.03, "batch": 4096},
    ),
    "lightgcn": (
        {"rate": 0.005, "decay": 0.001, "batch": 4096},
        {"rate": 0.01, "decay": 0.001, "batch": 4096},
        {"rate": 0.01, "decay": 0.003, "batch": 4096},
        {"rate": 0.01, "decay": 0.003, "batch": 8192},
        {"rate": 0.02, "decay": 0.003, "batch": 8192},
    ),
}
"""The settings tried on the validation part, by backbone."""


def backbone(setup: Setup, *, seed: int | None = None) -> Backbone:
    """Return the set-up's backbone, unfitted.

    Args:
        setup: names it, with its setting.
        seed: in place of the set-up's, as for one shard of many.
    """
    if setup.backbone in CLOSED:
        return closed(setup.backbone, setup.backbone_setting)
    # torch is in an environment of its own; what is closed runs without it
    trained = import_module("benchmarks.unlearning.trained")
    made: Backbone = trained.learned_backbone(setup, seed=seed)
    return made
