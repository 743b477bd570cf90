"""Ranking quality before and after forgetting 10 % of the users: one split, one protocol.

8:1:1 per user at random, seed 2026; every model is fitted on the training part alone and its
setting chosen by NDCG@10 on the validation part; the test part is ranked against the whole
catalogue, without the items of the other two parts. After forgetting, the models are fitted
again without those users, the service forgets them, and everybody else is measured.

The learned models and the peer are measured by ``benchmarks.quality.neural`` and
``benchmarks.quality.peers`` in an environment that has their libraries; their figures by user
are read from ``--measured``. ``python -m benchmarks.quality.run --data ml-100k --measured
folder`` writes ``benchmarks/results/quality_<data>.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.data import SEED, Dataset, Ints, Split, forgotten_users, load, split
from benchmarks.harness import write_result
from benchmarks.quality import models
from benchmarks.quality.learned import read_runs
from benchmarks.quality.metrics import Floats, Scorer, evaluate, interval, summary

Fit = Callable[[np.ndarray[tuple[int, int], np.dtype[np.float32]]], Scorer]
Found = dict[str, Floats]

SHARE: Final = 0.1

CANDIDATES: Final[Mapping[str, list[tuple[str, Fit]]]] = {
    "popularity": [("", models.popularity)],
    "item_knn": [
        (
            f"N={n} alpha={a} shrink=20",
            partial(models.item_knn, n_neighbours=n, alpha=a, shrink=20.0),
        )
        for n, a in product((60, 100, 200), (0.6, 0.9))
    ],
    "user_knn": [
        (f"K={k} penalty={p}", partial(models.user_knn, n_neighbours=k, length_penalty=p))
        for k, p in product((100, 200), (0.5, 0.6))
    ],
    "ease": [
        (f"lambda={value:g}", partial(models.ease, regularisation=value))
        for value in (300.0, 600.0, 900.0, 1500.0)
    ],
}
RIVALS: Final = (
    "lightgcn",
    "bpr",
    "implicit_als",
    "implicit_bm25",
    "ease_plus_als",
    "lenskit_als",
    "lenskit_item_knn",
    "ease",
    "item_knn",
    "user_knn",
)


class Protocol:
    """One data set under the protocol, before or after forgetting."""

    def __init__(self, dataset: Dataset, parts: Split, *, gone: Ints) -> None:
        self.dataset, self.parts, self.gone = dataset, parts, gone
        lost = set(gone.tolist())
        self.users = np.setdiff1d(np.arange(len(parts.train)), gone)
        self.train = [row[:0] if user in lost else row for user, row in enumerate(parts.train)]
        self.interactions = models.matrix(self.train, n_items=dataset.n_items)

    def valid(self, scorer: Scorer) -> float:
        """Return NDCG@10 on the validation part."""
        found = evaluate(scorer, users=self.users, seen=[self.train], wanted=self.parts.valid)
        return float(np.nanmean(found["ndcg@10"]))

    def test(self, scorer: Scorer) -> Found:
        """Return the test metrics by user."""
        seen = [self.train, self.parts.valid]
        return evaluate(scorer, users=self.users, seen=seen, wanted=self.parts.test)


def choose(before: Protocol) -> dict[str, tuple[str, Fit, float]]:
    """Return each model's best setting on the validation part, with its NDCG@10 there."""
    chosen = {}
    for name, settings in CANDIDATES.items():
        tried = [(before.valid(fit(before.interactions)), label, fit) for label, fit in settings]
        value, label, fit = max(tried, key=lambda row: row[0])
        chosen[name] = (label, fit, value)
        print(name, label, round(value, 4), flush=True)
    return chosen


def measure_service(before: Protocol, after: Protocol) -> tuple[Found, Found, Found]:
    """Return the service's figures before, between removal and refresh, and after the refresh."""
    neighbours = models.as_served()
    histories = models.named(before.train)
    neighbours.build(histories.items())
    n_items = before.dataset.n_items
    scorer = partial(models.service, neighbours, never=before.parts.valid, n_items=n_items)
    first = before.test(scorer(train=before.train))
    names = list(histories)
    neighbours.apply({names[user]: () for user in after.gone.tolist()})
    between = after.test(scorer(train=after.train))
    neighbours.refresh()
    return first, between, after.test(scorer(train=after.train))


def against(ours: Found, rivals: Mapping[str, Found]) -> dict[str, object]:
    """Return the service's lead over each rival, user by user, with its interval."""
    return {
        name: {
            metric: dict(
                zip(
                    ("mean", "low", "high"),
                    interval(ours[metric] - rivals[name][metric], seed=SEED),
                    strict=True,
                )
            )
            for metric in ours
        }
        for name in RIVALS
        if name in rivals
    }


def report(found: Mapping[str, Found]) -> dict[str, object]:
    """Return every model's summary, and the service's lead over the others."""
    return {
        "models": {name: summary(values, seed=SEED) for name, values in found.items()},
        "service_lead": against(found["service"], found),
    }


def main() -> None:
    """Measure one data set and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--measured", type=Path, required=True)
    options = parser.parse_args()
    dataset = load(options.data)
    parts = split(dataset.histories)
    gone = forgotten_users(len(parts.train), share=SHARE)
    before, after = Protocol(dataset, parts, gone=gone[:0]), Protocol(dataset, parts, gone=gone)
    chosen = choose(before)
    found = {
        case: {name: at.test(fit(at.interactions)) for name, (_, fit, _) in chosen.items()}
        for case, at in (("before", before), ("after", after))
    }
    first, between, last = measure_service(before, after)
    found["before"]["service"], found["after"]["service"] = first, last
    runs = read_runs(options.measured, data=options.data)
    for name, run in runs.items():
        for case, values in run.found.items():
            found[case][name] = values
    document = {
        "seed": SEED,
        "data": options.data,
        "forgotten_users": len(gone),
        "protocol": "8:1:1 per user, fitted on train only, full ranking, bootstrap over users",
        "settings": {
            **{
                name: {
                    "setting": label,
                    "valid_ndcg@10": value,
                    "settings_tried": len(CANDIDATES[name]),
                }
                for name, (label, _, value) in chosen.items()
            },
            **{name: run.facts for name, run in runs.items()},
        },
        "before": report(found["before"]),
        "after": report(found["after"]),
        "service_between_removal_and_refresh": summary(between, seed=SEED),
    }
    path = write_result(f"quality_{options.data}", document)
    for case in ("before", "after"):
        for name, values in found[case].items():
            line = " ".join(f"{key} {np.nanmean(value):.4f}" for key, value in values.items())
            print(f"{case:7} {name:14} {line}")
    print(path.name)


if __name__ == "__main__":
    main()
