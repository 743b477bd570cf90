"""The next item of somebody who is still at it: the list beside methods made for just that.

Item transitions: how often j came within ten places after i, nearer ones more, over a root of how
often both were had; the newest items of a history ask most. Session kNN: sittings of others (no
pause of an hour) that share items with the newest of a history, after Garg et al., "Sequence and
Time Aware Neighborhood for Session-based Recommendations: STAN", SIGIR 2019. The settings of both
are the best of a grid on the part that ``served`` keeps for validation; judged on its test part.

``python -m benchmarks.quality.next_item`` writes ``benchmarks/results/quality_next_item.json``.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from itertools import pairwise, product
from typing import Any, Final, cast

import numpy as np

from benchmarks.data import SEED, load
from benchmarks.harness import write_result
from benchmarks.quality.arms import Ask, Fit, Told, arms, best, fit_ease
from benchmarks.quality.served import in_time
from benchmarks.quality.served_world import World

PAUSE: Final = timedelta(hours=1)
_REACH: Final = 10
_NEARER: Final = 0.8 ** np.arange(_REACH)


def _in_order(told: Told) -> list[int]:
    """Return items, the oldest first; the sort is stable, so ties stay as they were drawn."""
    return [int(one.item_id) for one in sorted(told, key=lambda one: one.occurred_at)]


def fit_transitions(
    n_items: int, everybody: Mapping[int, Told], *, shrink: float, half: float
) -> Ask:
    """Fit item transitions.

    Args:
        n_items: of the catalogue.
        everybody: what each user told.
        shrink: what rare items are divided by beside how often they were had.
        half: how many items back a history counts half as much.
    """
    follows = np.zeros((n_items, n_items), dtype=np.float32)
    degrees = np.zeros(n_items)
    for told in everybody.values():
        items = np.array(_in_order(told), dtype=np.int64)
        degrees[items] += 1
        for gap, weight in enumerate(_NEARER[: len(items) - 1], start=1):
            follows[items[:-gap], items[gap:]] += weight
    follows /= degrees[:, None] ** 0.9 * degrees[None, :] ** 0.1 + shrink

    def ask(told: Told) -> list[int]:
        items = _in_order(told)[::-1]
        weights = 2.0 ** (-np.arange(len(items)) / half)
        return best(weights @ follows[items], items)

    return ask


def _sittings(told: Told) -> list[list[int]]:
    ordered = sorted(told, key=lambda one: one.occurred_at)
    found = [[int(ordered[0].item_id)]]
    for before, one in pairwise(ordered):
        if one.occurred_at - before.occurred_at > PAUSE:
            found.append([])
        found[-1].append(int(one.item_id))
    return found


def fit_session_knn(
    n_items: int, everybody: Mapping[int, Told], *, n_neighbours: int, half: float
) -> Ask:
    """Fit session kNN.

    Args:
        n_items: of the catalogue.
        everybody: what each user told.
        n_neighbours: how many sittings are listened to.
        half: how many items back a history counts half as much.
    """
    sittings = [one for told in everybody.values() if told for one in _sittings(told)]
    holding: dict[int, list[int]] = defaultdict(list)
    for number, items in enumerate(sittings):
        for item in items:
            holding[item].append(number)
    lengths = np.sqrt([len(one) for one in sittings])

    def ask(told: Told) -> list[int]:
        items = _in_order(told)[::-1]
        alike = np.zeros(len(sittings))
        weight_of = dict(zip(items, 2.0 ** (-np.arange(len(items)) / half), strict=True))
        for item, weight in weight_of.items():
            alike[holding[item]] += weight
        alike /= lengths
        nearest = np.argsort(-alike, kind="stable")[:n_neighbours]
        scores = np.zeros(n_items)
        for number in nearest[alike[nearest] > 0].tolist():
            sitting = np.array(sittings[number])
            shared = [at for at, item in enumerate(sittings[number]) if item in weight_of]
            newest = max(shared, key=lambda at: weight_of[int(sitting[at])])
            places = np.abs(np.arange(len(sitting)) - newest)
            scores[sitting] += alike[number] * np.exp(-places / _REACH)
        return best(scores, items)

    return ask


def candidates(n_items: int) -> dict[str, dict[str, Fit]]:
    """Return, by method, the settings that validation chooses from."""
    halves = (2.0, 5.0, 20.0)
    return {
        "item transitions": {
            f"shrink {shrink:g}, half {half:g}": partial(
                fit_transitions, n_items, shrink=shrink, half=half
            )
            for shrink, half in product((1.0, 20.0), halves)
        },
        "session kNN": {
            f"{n} sittings, half {half:g}": partial(
                fit_session_knn, n_items, n_neighbours=n, half=half
            )
            for n, half in product((100, 500), halves)
        },
        "EASE": {
            f"lambda {value:g}": partial(fit_ease, n_items, regularisation=value)
            for value in (150.0, 600.0)
        },
    }


def main() -> None:
    """Choose on one part, judge on the other, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="ml-100k")
    parser.add_argument("--asked", type=int, default=2000)
    options = parser.parse_args()
    world = World.of(load(options.data))
    n_items = world.dataset.n_items
    offered = arms(n_items, content=world.content, has_times=True, in_sitting=True)
    ours = {"list": offered["list"]}
    tried = candidates(n_items)
    flat = {f"{m}: {name}": fit for m, fits in tried.items() for name, fit in fits.items()}
    on_valid = in_time(world, ours | flat, part="valid", n_asked=options.asked)
    found = cast("dict[str, Any]", on_valid["arms"])
    chosen: dict[str, str] = {}
    for method, fits in tried.items():
        chosen[method] = max(fits, key=lambda n: found[f"{method}: {n}"]["ndcg_liked"]["mean"])
    judged = {m: tried[m][name] for m, name in chosen.items()}
    on_test = in_time(
        world,
        ours | judged | {"popularity": offered["popularity"]},
        part="test",
        n_asked=options.asked,
    )
    document = {
        "seed": SEED,
        "data": options.data,
        "chosen": chosen,
        "validation": {name: row["ndcg_liked"] for name, row in found.items()},
        "test": on_test,
    }
    print(write_result("quality_next_item", document))


if __name__ == "__main__":
    main()
