"""Measure libraries that others use on the same split: ``implicit`` and ``lenskit``.

Needs them, which the service does not: run it in an environment of its own,
``python -m benchmarks.quality.peers --data ml-1m --out folder``. Settings are chosen on the
validation part.

Sources: Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM
2008; https://github.com/benfred/implicit; Ekstrand, "LensKit for Python", CIKM 2020;
https://lkpy.lenskit.org.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import implicit
import lenskit
import numpy as np
import pandas as pd
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender
from lenskit.als import ImplicitMFScorer
from lenskit.data import Dataset, ItemList, RecQuery, from_interactions_df
from lenskit.knn import ItemKNNScorer
from lenskit.training import TrainingOptions
from scipy.sparse import csr_matrix

from benchmarks.data import Ints, Split, forgotten_users, load, split
from benchmarks.quality import models
from benchmarks.quality.metrics import Scorer, evaluate

Fit = Callable[..., Scorer]

SEEDS = (0, 1, 2)
SHARES = (0.3, 0.6, 1.0)


def als_settings() -> Iterator[dict[str, Any]]:
    """Return the settings of ALS that are tried."""
    for factors, alpha, penalty in product((32, 64), (1.0, 4.0, 10.0), (10.0, 30.0, 100.0)):
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


def lenskit_mf_settings() -> Iterator[dict[str, Any]]:
    """Return the settings of matrix factorisation that are tried: those of ``implicit``'s ALS."""
    for factors, weight, penalty in product((32, 64), (1.0, 4.0, 10.0), (10.0, 30.0, 100.0)):
        yield {
            "embedding_size": factors,
            "weight": weight,
            "regularization": penalty,
            "epochs": 20,
        }


def lenskit_knn_settings() -> Iterator[dict[str, Any]]:
    """Return the settings of item-kNN that are tried."""
    for neighbours, kept in product((20, 50, 100), (100, 200)):
        yield {"max_nbrs": neighbours, "save_nbrs": kept, "feedback": "implicit"}


def lenskit_mf(interactions: csr_matrix, *, seed: int, setting: dict[str, Any]) -> Scorer:
    """Fit implicit matrix factorisation."""
    model = ImplicitMFScorer(user_embeddings="prefer", **setting)
    model.train(_dataset(interactions), TrainingOptions(rng=seed))
    users, items = np.asarray(model.user_embeddings), np.asarray(model.item_embeddings)
    return lambda block: users[block] @ items.T


def lenskit_knn(interactions: csr_matrix, *, seed: int, setting: dict[str, Any]) -> Scorer:
    """Fit item-kNN on cosines; an item without a neighbour in the history scores nothing."""
    model = ItemKNNScorer(**setting)
    model.train(_dataset(interactions), TrainingOptions(rng=seed))
    everything = ItemList(item_ids=np.arange(interactions.shape[1]))

    def score(block: np.ndarray) -> np.ndarray:
        return np.stack([_scored(model, interactions[user].indices, everything) for user in block])

    return score


def _scored(model: ItemKNNScorer, history: np.ndarray, everything: ItemList) -> np.ndarray:
    query = RecQuery(user_items=ItemList(item_ids=history))
    scores: np.ndarray = np.asarray(model(query, everything).scores())
    return np.asarray(np.nan_to_num(scores, nan=0.0))


def _dataset(interactions: csr_matrix) -> Dataset:
    """Return the interactions as LensKit wants them; users and items keep their numbers."""
    pairs = interactions.tocoo()
    frame = pd.DataFrame({"user_id": pairs.row, "item_id": pairs.col})
    n_users, n_items = interactions.shape
    return from_interactions_df(
        frame, users=range(n_users), items=range(n_items), class_name="interaction"
    )


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


def fused(train: list[Ints], other: Scorer, *, n_items: int, share: float) -> Scorer:
    """Add standardised scores of EASE and ``share`` times those of another model."""
    scorer = models.ease(models.matrix(train, n_items=n_items), regularisation=600.0)

    def standard(scores: np.ndarray) -> np.ndarray:
        centred = scores - scores.mean(axis=1, keepdims=True)
        return np.asarray(centred / (centred.std(axis=1, keepdims=True) + 1e-12))

    return lambda users: standard(scorer(users)) + share * standard(other(users))


class Peers:
    """One data set; writes what is measured into a folder."""

    def __init__(self, data: str, *, out: Path) -> None:
        self._data, self._out = data, out
        self._dataset = load(data)
        self._parts = split(self._dataset.histories)
        self._everybody = np.arange(len(self._dataset.histories))
        out.mkdir(parents=True, exist_ok=True)

    def valid(self, scorer: Scorer) -> float:
        """Return NDCG@10 on the validation part."""
        found = evaluate(
            scorer,
            users=self._everybody,
            seen=[self._parts.train],
            wanted=self._parts.valid,
        )
        return float(np.nanmean(found["ndcg@10"]))

    def choose(
        self, fit: Fit, settings: list[dict[str, Any]], *, version: str = implicit.__version__
    ) -> dict[str, Any]:
        """Return the facts of the setting that is best on the validation part."""
        tried: list[dict[str, Any]] = []
        interactions = sparse(self._parts.train, n_items=self._dataset.n_items)
        for setting in settings:
            begun = time.process_time()
            scorer = fit(interactions, seed=0, setting=setting)
            cpu_s = round(time.process_time() - begun, 1)
            facts = {"setting": setting, "cpu_s": cpu_s, "valid_ndcg@10": self.valid(scorer)}
            tried.append(facts)
            print(facts, flush=True)
        best = max(tried, key=lambda facts: float(facts["valid_ndcg@10"]))
        return {**best, "settings_tried": len(tried), "version": version}

    def choose_share(self, fit: Fit, setting: dict[str, Any]) -> dict[str, Any]:
        """Return how much of the model to add to EASE, by the validation part."""
        train = self._parts.train
        other = fit(sparse(train, n_items=self._dataset.n_items), seed=0, setting=setting)
        tried = [
            (self.valid(fused(train, other, n_items=self._dataset.n_items, share=share)), share)
            for share in SHARES
        ]
        value, share = max(tried)
        return {"share": share, "valid_ndcg@10": value, "settings_tried": len(tried)}

    def measure(
        self, name: str, fit: Fit, facts: dict[str, Any], *, share: float | None = None
    ) -> None:
        """Measure before and after forgetting, alone or added to EASE, with every seed."""
        is_random = fit in {als, lenskit_mf}
        for forgotten in (0.0, 0.1):
            gone = forgotten_users(len(self._everybody), share=forgotten)
            users = np.setdiff1d(self._everybody, gone)
            train = without(self._parts, gone=gone)
            left = sparse(train, n_items=self._dataset.n_items)
            for seed in SEEDS if is_random else SEEDS[:1]:
                scorer = fit(left, seed=seed, setting=facts["setting"])
                if share is not None:
                    scorer = fused(train, scorer, n_items=self._dataset.n_items, share=share)
                seen = [self._parts.train, self._parts.valid]
                test = evaluate(scorer, users=users, seen=seen, wanted=self._parts.test)
                stem = f"{self._data}-{name}-s{seed}-f{forgotten:g}"
                arrays: dict[str, Any] = {"users": users, **test}
                np.savez(self._out / f"{stem}.npz", **arrays)
                text = json.dumps(facts) + "\n"
                (self._out / f"{stem}.json").write_text(text, encoding="utf-8")
                print(
                    stem, {k: round(float(np.nanmean(v)), 4) for k, v in test.items()}, flush=True
                )


def main() -> None:
    """Choose settings, measure before and after forgetting, write by user and in sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--libraries", nargs="+", default=["implicit", "lenskit"])
    options = parser.parse_args()
    peers = Peers(options.data, out=options.out)
    if "implicit" in options.libraries:
        facts = peers.choose(als, list(als_settings()))
        peers.measure("als", als, facts)
        added = {**facts, **peers.choose_share(als, facts["setting"])}
        peers.measure("ease_als", als, added, share=added["share"])
        peers.measure("bm25", bm25, peers.choose(bm25, list(bm25_settings())))
    if "lenskit" in options.libraries:
        version = lenskit.__version__
        facts = peers.choose(lenskit_mf, list(lenskit_mf_settings()), version=version)
        peers.measure("lenskit_mf", lenskit_mf, facts)
        facts = peers.choose(lenskit_knn, list(lenskit_knn_settings()), version=version)
        peers.measure("lenskit_knn", lenskit_knn, facts)


if __name__ == "__main__":
    main()
