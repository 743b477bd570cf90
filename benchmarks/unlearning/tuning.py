"""Choose each method's setting on the validation part, all with the same small budget.

At most ``BUDGET`` settings each. A backbone is fitted on the training part; a method is also
asked to forget 5 % of the users, others than those of any scenario, and NDCG@10 of those who
stay decides. What is best for utility need not be nearest to retraining; nothing else can be
looked at without the retrained system, which whoever unlearns has not got. What settings share
is fitted once, so the seconds of the later ones are fewer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.harness import RESULTS, write_result
from benchmarks.quality.metrics import rate
from benchmarks.unlearning.backbones import GRIDS
from benchmarks.unlearning.lists import top_lists
from benchmarks.unlearning.protocol import Interactions, Method, Setting, Setup, System
from benchmarks.unlearning.scenarios import some_users
from benchmarks.unlearning.shared_fits import shared_fits
from benchmarks.unlearning.world import World

CELLS: Final = RESULTS / "unlearning"
SEED: Final = 7000
_PERCENT: Final = 5


def backbone_setting(
    world: World, backbone: str, *, retrain: Method, folder: Path, cache: Path
) -> Setting:
    """Return what was chosen for a backbone, after choosing where nothing was yet."""
    setup = Setup(world.dataset, world.valid, backbone, {}, seed=SEED)
    setups = [replace(setup, backbone_setting=setting) for setting in GRIDS[backbone]]
    name = _name(world, "backbone", backbone)
    none = world.train.where(np.zeros(len(world.train), dtype=bool))
    at = _choose(world, retrain, setups, name=name, gone=none, folder=folder, cache=cache)
    return setups[at].backbone_setting


def method_setting(
    world: World, method: Method, setup: Setup, *, folder: Path, cache: Path
) -> Setting:
    """Return what was chosen for a method, after choosing where nothing was yet."""
    gone = some_users(world, who="random", percent=_PERCENT, seed=SEED).gone()
    setups = [replace(setup, setting=setting, seed=SEED) for setting in method.grid]
    name = _name(world, method.name, setup.backbone)
    at = _choose(world, method, setups, name=name, gone=gone, folder=folder, cache=cache)
    return setups[at].setting


def valid_ndcg(world: World, system: System, *, left: Interactions) -> float:
    """Return NDCG@10 on the validation part of those who have something left."""
    users = np.unique(left.users)
    lists = top_lists(system.scores, users=users, seen=[left.histories])
    wanted = [world.valid.histories[user] for user in users.tolist()]
    return float(np.nanmean(rate(lists, wanted=wanted)["ndcg@10"]))


def _choose(
    world: World,
    method: Method,
    setups: Sequence[Setup],
    *,
    name: str,
    gone: Interactions,
    folder: Path,
    cache: Path,
) -> int:
    """Return the place of the best set-up; read it where the same ones were tried before."""
    if len(setups) == 1:
        return 0
    settings = [{**setup.backbone_setting, **setup.setting} for setup in setups]
    path = folder / f"{name}.json"
    if path.exists():
        found = json.loads(path.read_text("utf-8"))
        if [row["setting"] for row in found["tried"]] == settings:
            return int(found["best"])
    with shared_fits(cache / "fits"):
        tried = [_try(world, method, setup, gone=gone) for setup in setups]
    best = int(np.argmax([row["valid_ndcg@10"] for row in tried]))
    rows = [{**row, "setting": setting} for row, setting in zip(tried, settings, strict=True)]
    document = {"seed": SEED, "best": best, "tried": rows, "pairs_forgotten": len(gone)}
    write_result(name, document, folder=folder)
    return best


def _try(world: World, method: Method, setup: Setup, *, gone: Interactions) -> dict[str, float]:
    begun = time.process_time()
    system = method.make(setup)
    system.fit(world.train)
    if len(gone):
        system.forget(gone)
    cpu_s = time.process_time() - begun
    value = valid_ndcg(world, system, left=world.train.without(gone))
    return {"valid_ndcg@10": value, "cpu_s": round(cpu_s, 2)}


def _name(world: World, method: str, backbone: str) -> str:
    return f"tuning_{world.dataset.name}_{method}_{backbone}"
