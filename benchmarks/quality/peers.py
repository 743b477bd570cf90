"""Measure a library that others use on the same split: ``implicit``'s ALS and BM25 item-kNN.

Needs ``implicit``, which the service does not: run it in an environment of its own,
``python -m benchmarks.quality.peers --data ml-1m --out folder``. Settings are chosen on the
validation part.

Sources: Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM
2008; https://github.com/benfred/implicit.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import implicit
import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender
from scipy.sparse import csr_matrix

from benchmarks.data import Ints, Split, forgotten_users, load, split
from benchmarks.quality.metrics import Scorer, evaluate

SEEDS = (0, 1, 2)


def als_settings() -> Iterator[dict[str, Any]]:
    """Return the settings of ALS that are tried."""
    for factors, alpha, penalty in product((16, 32, 64), (1.0, 4.0), (3.0, 10.0, 30.0)):
        yield {"factors": factors, "alpha": alpha, "regularization": penalty, "iterations": 20}


def bm25_settings() -> Iterator[dict[str, Any]]:
    """Return the settings of BM25 that are tried."""
    for neighbours, b in product((50, 100, 200), (0.2, 0.75)):
        yield {"K": neighbours, "K1": 1.2, "B": b}


def als(interactions: csr_matrix, *, seed: int, setting: dict[str, Any]) -> Scorer:
    """Fit ALS."""
    model = AlternatingLeastSquares(random_state=seed, num_threads=1, **setting)
    model.fit(interactions, show_progress=False)
    return lambda users: model.user_factors[users] @ model.item_factors.T


def bm25(interactions: csr_matrix, *, seed: int, setting: dict[str, Any]) -> Scorer:  # noqa: ARG001 - one signature for both
    """Fit item-kNN on BM25 weights."""
    model = BM25Recommender(num_threads=1, **setting)
    model.fit(interactions, show_progress=False)
    return lambda users: (interactions[users] @ model.similarity).toarray()


def sparse(train: list[Ints], *, n_items: int) -> csr_matrix:
    """Return the interactions as a sparse matrix, shape (n_users, n_items)."""
    starts = np.cumsum([0, *map(len, train)])
    columns = np.concatenate(train)
    shape = (len(train), n_items)
    return csr_matrix((np.ones(len(columns), dtype=np.float32), columns, starts), shape=shape)


def without(parts: Split, *, gone: Ints) -> list[Ints]:
    """Return the training part with nothing left of the users who are gone."""
    lost = set(gone.tolist())
    return [row[:0] if user in lost else row for user, row in enumerate(parts.train)]


def main() -> None:
    """Choose settings, measure before and after forgetting, write by user and in sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    dataset = load(options.data)
    parts = split(dataset.histories)
    everybody = np.arange(len(dataset.histories))
    interactions = sparse(parts.train, n_items=dataset.n_items)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, fit, settings in (
        ("als", als, list(als_settings())),
        ("bm25", bm25, list(bm25_settings())),
    ):
        tried = []
        for setting in settings:
            begun = time.process_time()
            scorer = fit(interactions, seed=0, setting=setting)
            cpu_s = time.process_time() - begun
            found = evaluate(scorer, users=everybody, seen=[parts.train], wanted=parts.valid)
            tried.append((float(np.nanmean(found["ndcg@10"])), cpu_s, setting))
            print(name, tried[-1], flush=True)
        value, cpu_s, setting = max(tried, key=lambda row: row[0])
        facts = {
            "setting": setting,
            "valid_ndcg@10": value,
            "cpu_s": round(cpu_s, 1),
            "settings_tried": len(tried),
            "version": implicit.__version__,
        }
        for share in (0.0, 0.1):
            gone = forgotten_users(len(everybody), share=share)
            users = np.setdiff1d(everybody, gone)
            left = sparse(without(parts, gone=gone), n_items=dataset.n_items)
            for seed in SEEDS if name == "als" else SEEDS[:1]:
                test = evaluate(
                    fit(left, seed=seed, setting=setting),
                    users=users,
                    seen=[parts.train, parts.valid],
                    wanted=parts.test,
                )
                stem = options.out / f"{options.data}-{name}-s{seed}-f{share:g}"
                np.savez(f"{stem}.npz", users=users, **test)
                Path(f"{stem}.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")
                print(stem.name, {k: round(float(np.nanmean(v)), 4) for k, v in test.items()})


if __name__ == "__main__":
    main()
