"""Tune the learned baselines on one data set, then repeat the best with other seeds.

Needs torch: ``python -m benchmarks.quality.grid --data ml-100k --out folder``. Every run writes
its own file, and a run whose file is there is not repeated, so a broken-off tuning goes on where
it stopped. Settings are tried with seed 0 before forgetting and chosen on the validation part;
the best is trained with every seed, before and after forgetting.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.data import Ints, Split, forgotten_users, load, split
from benchmarks.quality.metrics import evaluate
from benchmarks.quality.neural import Setting, train

_START = Setting(
    layers=2,
    rate=0.01,
    decay=1e-3,
    dim=64,
    batch=4096,
    seed=0,
    patience=20,
    every=5,
    max_cpu_s=400.0,
)
SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Run:
    """A data set before or after forgetting, and the folder that results go to.

    Args:
        data: name of the data set.
        parts: the split, with nothing left in the training part of those who are gone.
        n_items: items are below it.
        users: whom to measure.
        forget: share of the users who are gone.
        out: folder.
    """

    data: str
    parts: Split
    n_items: int
    users: Ints
    forget: float
    out: Path

    def path(self, setting: Setting) -> Path:
        """Return where the facts of a training go; the figures by user lie beside it."""
        name = (
            f"{self.data}-L{setting.layers}-lr{setting.rate:g}-reg{setting.decay:g}"
            f"-d{setting.dim}-b{setting.batch}-s{setting.seed}-f{self.forget:g}.json"
        )
        return self.out / name

    def train(self, setting: Setting) -> None:
        """Train one setting; write metrics by user (.npz) and the facts (.json)."""
        model, facts = train(self.parts, n_items=self.n_items, users=self.users, setting=setting)
        seen = [self.parts.train, self.parts.valid]
        test = evaluate(model.scorer(), users=self.users, seen=seen, wanted=self.parts.test)
        document = {"setting": asdict(setting), **facts, "forget": self.forget}
        document["test"] = {metric: float(np.nanmean(values)) for metric, values in test.items()}
        path = self.path(setting)
        self.out.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {"users": self.users, **test}
        np.savez(path.with_suffix(".npz"), **arrays)
        path.write_text(json.dumps(document) + "\n", encoding="utf-8")
        shown = ("valid_ndcg@10", "best_epoch", "stopped", "cpu_s", "wall_s", "test")
        print(path.name, {key: document[key] for key in shown}, flush=True)


def prepare(data: str, *, forget: float, out: Path) -> Run:
    """Read a data set and take out the share of users who are forgotten."""
    torch.set_num_threads(1)
    dataset = load(data)
    parts = split(dataset.histories)
    gone = forgotten_users(len(dataset.histories), share=forget)
    for user in gone.tolist():
        parts.train[user] = parts.train[user][:0]
    users = np.setdiff1d(np.arange(len(dataset.histories)), gone)
    return Run(data, parts, dataset.n_items, users, forget, out)


def settings(data: str, family: str) -> Iterator[Setting]:
    """Return what is tried for a family (``lightgcn``, ``bpr``)."""
    if family == "bpr":
        start = replace(_START, layers=0, batch=2048 if data == "ml-100k" else 8192)
        rates = (0.002, 0.005) if data == "ml-100k" else (0.005, 0.01)
        for rate, decay in product(rates, (3e-3, 1e-2, 3e-2)):
            yield replace(start, rate=rate, decay=decay)
    elif data == "ml-100k":
        for layers, rate, decay in product((2, 3), (0.005, 0.01), (1e-3, 3e-3, 1e-2)):
            yield replace(_START, layers=layers, rate=rate, decay=decay)
        # What was best in an earlier, impatient tuning, and a larger table.
        yield replace(_START, rate=0.002, decay=3e-3, batch=2048)
        yield replace(_START, rate=0.005, decay=3e-3, dim=128)
    else:
        start = replace(_START, batch=8192, patience=6, max_cpu_s=1200.0)
        for rate, decay in ((0.01, 1e-3), (0.005, 3e-3)):
            yield replace(start, rate=rate, decay=decay)


def tune(data: str, family: str, *, out: Path, seeds: int, seeds_after: int) -> None:
    """Try the settings, then train the best with every seed before and after forgetting."""
    run = prepare(data, forget=0.0, out=out)
    tried = [(_valid(run, setting), setting) for setting in settings(data, family)]
    best = max(tried, key=lambda row: row[0])[1]
    print(family, "best", best, flush=True)
    for seed in range(seeds):
        _valid(run, replace(best, seed=seed))
    after = prepare(data, forget=SHARE, out=out)
    for seed in range(seeds_after):
        _valid(after, replace(best, seed=seed))


def _valid(run: Run, setting: Setting) -> float:
    path = run.path(setting)
    if not path.exists():
        run.train(setting)
    return float(json.loads(path.read_text("utf-8"))["valid_ndcg@10"])


def main() -> None:
    """Tune one data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--families", nargs="+", default=["lightgcn", "bpr"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seeds-after", type=int, default=3)
    options = parser.parse_args()
    for family in options.families:
        tune(
            options.data,
            family,
            out=options.out,
            seeds=options.seeds,
            seeds_after=options.seeds_after,
        )


if __name__ == "__main__":
    main()
