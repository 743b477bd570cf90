"""Which ratings should count: rules compared on ML-100K, by EASE as the service weighs it.

Fitted on the training part and wanted is the validation part of the random split. By rule: NDCG@10
of all that is wanted and of what the user rates above the own mean, and how many of ten films
listed the user rates a deviation or more below it. ML-1M as the project has it has no ratings.
``python -m benchmarks.quality.opinions`` writes ``benchmarks/results/quality_opinions.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import SEED, load
from benchmarks.harness import write_result
from benchmarks.quality.arms import EVERYTHING, N_LISTED, Setup, Told, built
from benchmarks.quality.served import at_random
from benchmarks.quality.served_world import World

Ratings = NDArray[np.float64]


def _usual(v: Ratings, *, deviations: float) -> NDArray[np.bool_]:
    return np.asarray((v > v.mean() - deviations * v.std()) | (v.std() == 0))


RULES: Final[Mapping[str, Callable[[Ratings], NDArray[np.bool_]]]] = {
    "every rating": lambda v: np.ones(len(v), dtype=np.bool_),
    "above mean - deviation": partial(_usual, deviations=1.0),
    "above mean - deviation, and above 2": lambda v: _usual(v, deviations=1.0) & (v > 2),
    "above mean - half a deviation": partial(_usual, deviations=0.5),
    "mean or above": lambda v: np.asarray(v >= v.mean()),
    "2 or above": lambda v: np.asarray(v >= 2),
    "3 or above": lambda v: np.asarray(v >= 3),
    "4 or above": lambda v: np.asarray(v >= 4),
}


def _kept(rule: Callable[[Ratings], NDArray[np.bool_]], told: Told) -> Told:
    """Return the evidence that a rule keeps, every piece of it as praise."""
    values = np.array([one.value for one in told], dtype=np.float64)
    return [one for one, is_kept in zip(told, rule(values).tolist(), strict=True) if is_kept]


def fit_rule(
    rule: Callable[[Ratings], NDArray[np.bool_]], everybody: Mapping[int, Told]
) -> Callable[[Told], list[int]]:
    """Fit the neighbours on what a rule keeps; the rest of a history is only never listed."""
    setup = Setup(opinions=EVERYTHING, recency=0.0, order_weight=0.0)
    neighbours = built(setup, {user: _kept(rule, told) for user, told in everybody.items()})

    def ask(told: Told) -> list[int]:
        liked = EVERYTHING.liked(_kept(rule, told))
        never = {one.item_id for one in told}
        listed = neighbours.recommend(liked, top_n=N_LISTED, exclude=never)
        return [int(one.item_id) for one in listed]

    return ask


def main() -> None:
    """Measure every rule and write the result."""
    world = World.of(load("ml-100k"))
    fits = {name: partial(fit_rule, rule) for name, rule in RULES.items()}
    fits["list"] = fits["every rating"]  # what the others are compared with
    document = {"seed": SEED, "random": at_random(world, fits, part="valid", n_users=943)}
    print(write_result("quality_opinions", document))


if __name__ == "__main__":
    main()
