"""Read what ``neural.py`` and ``peers.py`` measured in their own environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.quality.metrics import Floats

PEERS: Final = {
    "als": "implicit_als",
    "bm25": "implicit_bm25",
    "ease_als": "ease_plus_als",
    "lenskit_mf": "lenskit_als",
    "lenskit_knn": "lenskit_item_knn",
}
CASES: Final = {"0": "before", "0.1": "after"}

Run = tuple[Path, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Learned:
    """A learned model.

    Args:
        found: by case (``before``, ``after``) and metric one value a user, the mean over seeds.
        facts: its setting, how it was chosen and trained, and NDCG@10 by seed.
    """

    found: Mapping[str, dict[str, Floats]]
    facts: Mapping[str, object]


def read_runs(folder: Path, *, data: str) -> dict[str, Learned]:
    """Return the models whose runs lie in ``folder``; a setting is chosen by validation."""
    runs: list[Run] = [
        (path, json.loads(path.read_text("utf-8")))
        for path in sorted(folder.glob(f"{data}-*.json"))
    ]
    trained = [run for run in runs if "curve" in run[1]]
    found = {}
    for name, is_layered in (("bpr", False), ("lightgcn", True)):
        family = [run for run in trained if bool(run[1]["setting"]["layers"]) is is_layered]
        if family:
            found[name] = _best_of(family)
    for stem, name in PEERS.items():
        family = [run for run in runs if run[0].name.startswith(f"{data}-{stem}-")]
        if family:
            found[name] = _gathered(family, facts=dict(family[0][1]))
    return found


def _best_of(family: list[Run]) -> Learned:
    """Return the setting that was best on the validation part with seed 0, over its seeds."""
    first = [facts for _, facts in family if facts["setting"]["seed"] == 0 and facts["forget"] == 0]
    best = max(first, key=lambda facts: float(facts["valid_ndcg@10"]))
    same = [run for run in family if {**run[1]["setting"], "seed": 0} == best["setting"]]
    kept = ("setting", "valid_ndcg@10", "best_epoch", "epochs", "stopped", "cpu_s", "curve")
    facts = {key: best[key] for key in kept} | {"settings_tried": len(first)}
    return _gathered(same, facts=facts)


def _gathered(runs: list[Run], *, facts: dict[str, object]) -> Learned:
    by_case: dict[str, list[dict[str, Floats]]] = {}
    for path, _ in runs:
        with np.load(path.parent / f"{path.name.removesuffix('.json')}.npz") as arrays:
            values = {key: arrays[key] for key in arrays.files if key != "users"}
        by_case.setdefault(CASES[path.name.removesuffix(".json").rpartition("-f")[2]], []).append(
            values
        )
    facts["test_ndcg@10_by_seed"] = {
        case: [float(np.nanmean(values["ndcg@10"])) for values in found]
        for case, found in by_case.items()
    }
    means = {
        case: {key: np.mean([values[key] for values in found], axis=0) for key in found[0]}
        for case, found in by_case.items()
    }
    return Learned(found=means, facts=facts)
