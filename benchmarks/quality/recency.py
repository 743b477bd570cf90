"""How much age and order of a history should count: chosen on what ML-100K has for validation.

``python -m benchmarks.quality.recency`` writes ``benchmarks/results/quality_recency.json``: NDCG@10
of the neighbours alone, at random and in time, for each pair of settings.
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import product
from typing import Final

from benchmarks.data import SEED, load
from benchmarks.harness import write_result
from benchmarks.quality.arms import Setup, fit_neighbours
from benchmarks.quality.served import at_random, in_time
from benchmarks.quality.served_world import World

RECENCIES: Final = (0.0, 0.5, 0.7, 0.9)
ORDER_WEIGHTS: Final = (0.0, 0.25, 0.5)


def main() -> None:
    """Measure every pair and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=943)
    parser.add_argument("--asked", type=int, default=2000)
    options = parser.parse_args()
    world = World.of(load("ml-100k"))
    fits = {
        f"recency {recency} order {weight}": partial(
            fit_neighbours, Setup(recency=recency, order_weight=weight)
        )
        for recency, weight in product(RECENCIES, ORDER_WEIGHTS)
    }
    fits["list"] = fits["recency 0.0 order 0.0"]  # what the others are compared with
    document = {
        "seed": SEED,
        "random": at_random(world, fits, part="valid", n_users=options.users),
        "time": in_time(world, fits, part="valid", n_asked=options.asked),
    }
    print(write_result("quality_recency", document))


if __name__ == "__main__":
    main()
