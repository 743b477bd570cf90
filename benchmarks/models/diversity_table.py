"""Build the table of CRAGRU's knapsack, for the strategy ``diversity``, from ML-100K.

    LETHE_MOVIELENS_DIR=… python -m benchmarks.models.diversity_table --out TABLE.json

For each cluster of items and each share of 5 %, 10 %, … 50 %: that share of the interactions is
drawn, those with items of the cluster are kept, EASE is fitted to them alone, and its hit rate
at 10 on the validation part is what the share is worth. Clusters are the service's own, over the
embeddings of titles and genres. A table holds for the catalogue that it was made from, and comes
from public data, never from a service's users. ``LETHE_LLM__DIVERSITY_TABLE`` names the file.
"""

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from app.adapters.datasets.movielens import MovieLensDataset
from app.adapters.embedders.static import StaticEmbedder
from app.domain.recommendation.clusters import best_shares, nearest, spherical_k_means
from app.domain.recommendation.memory import describe_item
from app.ports.dataset import ItemRecord
from benchmarks.data import SEED, Dataset, Ints, Split, load, split
from benchmarks.quality.metrics import evaluate
from benchmarks.quality.models import ease, matrix

N_CLUSTERS: Final = 5
N_STEPS: Final = 10
STEP: Final = 0.05
REGULARISATION: Final = 400.0


def hit_rate(data: Dataset, parts: Split, *, kept: Ints, share: float, seed: int) -> float:
    """Return the hit rate at 10 of EASE fitted to a share of the interactions with ``kept``."""
    rng = np.random.default_rng(seed)
    train = [row[(rng.random(len(row)) < share) & np.isin(row, kept)] for row in parts.train]
    scorer = ease(matrix(train, n_items=data.n_items), regularisation=REGULARISATION)
    users = np.arange(len(train))
    found = evaluate(scorer, users=users, seen=[parts.train], wanted=parts.valid)
    return float(np.nanmean(found["hr@10"]))


def main() -> None:
    """Measure each cell, write the table and print the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    data = load("ml-100k")
    parts = split(data.histories, seed=arguments.seed)
    embedder = StaticEmbedder()
    films = MovieLensDataset(Path(os.environ["LETHE_MOVIELENS_DIR"]), now=datetime.now(UTC)).items()
    vectors = embedder.embed(
        [describe_item(film.item) for film in films if isinstance(film, ItemRecord)]
    )
    centres = spherical_k_means(vectors, k=N_CLUSTERS)
    of = nearest(centres, vectors)
    worth = [
        [
            round(
                hit_rate(
                    data,
                    parts,
                    kept=np.flatnonzero(of == cluster),
                    share=step * STEP,
                    seed=arguments.seed,
                ),
                4,
            )
            for step in range(1, N_STEPS + 1)
        ]
        for cluster in range(len(centres))
    ]
    table = {
        "embedder_id": embedder.embedder_id,
        "source": f"ml-100k, EASE({REGULARISATION:g}), seed {arguments.seed}",
        "centres": centres.round(5).tolist(),
        "worth": worth,
    }
    arguments.out.write_text(json.dumps(table) + "\n", encoding="utf-8")
    print("items by cluster", np.bincount(of).tolist())
    print("worth", json.dumps(worth))
    print("shares", best_shares(worth))


if __name__ == "__main__":
    main()
