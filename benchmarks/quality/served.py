"""What a caller gets: the fused list beside EASE, item-kNN and popularity, at random and in time.

Random: 8:1:1 per user; fitted on the training part (``--part valid``, on which settings were
chosen) or on training and validation part, and the part after it is wanted. Time: everything
before a cut is fitted, twice; each later event is the next item wanted of someone whose history
until then is known, and who is still at it. At random the lists are those of somebody who comes
back later. Both count all targets, and those alone that the user rates above the own
mean; a film rated a deviation or more below it is disliked. ML-1M as the project has it knows
neither ratings nor times, so there everything speaks for its item and nothing is recent. Cold
people, an attack and what is beyond accuracy: ``served_more``.

``python -m benchmarks.quality.served --data ml-100k`` writes
``benchmarks/results/quality_served_<data>.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from benchmarks.data import SEED, load, split
from benchmarks.harness import write_result
from benchmarks.quality.arms import Fit, arms
from benchmarks.quality.served_more import beyond, of_new_items, under_attack, when_cold
from benchmarks.quality.served_world import World, evidence, ndcg, summary

Found = dict[str, list[float]]
"""By metric a value for each time something was asked."""


def _compared(by_arm: Mapping[str, Found], users: list[int]) -> dict[str, object]:
    """Return every arm's figures, and the list's lead over the others."""
    report: dict[str, object] = {}
    for name, metrics in by_arm.items():
        row: dict[str, object] = {key: summary(found, users) for key, found in metrics.items()}
        for key in ("ndcg_all", "ndcg_liked"):
            lead = np.array(by_arm["list"][key]) - np.array(metrics[key])
            row[f"lead_of_list_{key}"] = summary(lead.tolist(), users)
        report[name] = row
        shown = {key: round(float(np.nanmean(found)), 4) for key, found in metrics.items()}
        print(f"{name:22}", shown, flush=True)
    return report


def at_random(
    world: World, fits: Mapping[str, Fit], *, part: str, n_users: int
) -> dict[str, object]:
    """Measure the random split."""
    parts = split(world.dataset.histories)
    known = [
        {*train.tolist(), *(valid.tolist() if part == "test" else ())}
        for train, valid in zip(parts.train, parts.valid, strict=True)
    ]
    held = parts.test if part == "test" else parts.valid
    everybody = {user: world.told(user, items) for user, items in enumerate(known)}
    rng = np.random.default_rng(SEED)
    users = np.sort(rng.permutation(len(known))[:n_users]).tolist()
    found: dict[str, Found] = {}
    lists: dict[str, list[list[int]]] = {}
    for name, fit in fits.items():
        ask = fit(everybody)
        lists[name] = [ask(everybody[user]) for user in users]
        found[name] = _judged(world, users, lists[name], [set(held[u].tolist()) for u in users])
    chosen = np.concatenate([held[user] for user in users])
    report = _compared(found, users)
    return {"arms": report, "beyond": beyond(world, lists, chosen), "users": len(users)}


def _judged(world: World, users: list[int], lists: list[list[int]], held: list[set[int]]) -> Found:
    metrics: Found = {"ndcg_all": [], "ndcg_liked": [], "disliked": []}
    for user, listed, wanted in zip(users, lists, held, strict=True):
        mean, deviation = world.mean(user)
        rated = {item: rating for _, item, rating in world.events[user] if item in wanted}
        liked = {item for item, rating in rated.items() if rating is None or rating > mean}
        bad = {
            i for i, rating in rated.items() if rating is not None and rating <= mean - deviation
        }
        metrics["ndcg_all"].append(ndcg(listed, wanted))
        metrics["ndcg_liked"].append(ndcg(listed, liked))
        metrics["disliked"].append(float(len(bad & set(listed))))
    return metrics


def in_time(world: World, fits: Mapping[str, Fit], *, part: str, n_asked: int) -> dict[str, object]:
    """Measure the next item after a cut."""
    stream = sorted(
        (at, user, place)
        for user, events in world.events.items()
        for place, (at, _, _) in enumerate(events)
    )
    begin, end = (0.9, 1.0) if part == "test" else (0.8, 0.9)
    bounds = [int(share * len(stream)) for share in (begin, (begin + end) / 2, end)]
    chosen = np.random.default_rng([SEED, 3]).choice(
        np.arange(bounds[0], bounds[2]), min(n_asked, bounds[2] - bounds[0]), replace=False
    )
    users: list[int] = []
    found: dict[str, Found] = {name: {"ndcg_all": [], "ndcg_liked": []} for name in fits}
    for low, high in pairwise(bounds):
        counts = np.bincount([user for _, user, _ in stream[:low]], minlength=len(world.events))
        everybody = {
            user: [evidence(one) for one in world.events[user][:n]]
            for user, n in enumerate(counts.tolist())
            if n
        }
        asks = {name: fit(everybody) for name, fit in fits.items()}
        for at in np.sort(chosen[(chosen >= low) & (chosen < high)]).tolist():
            _, user, place = stream[at]
            if not place:
                continue
            _, item, rating = world.events[user][place]
            history = [evidence(one) for one in world.events[user][:place]]
            is_liked = rating is None or rating > world.mean(user)[0]
            users.append(user)
            for name, ask in asks.items():
                value = ndcg(ask(history), {item})
                found[name]["ndcg_all"].append(value)
                found[name]["ndcg_liked"].append(value if is_liked else float("nan"))
    return {"arms": _compared(found, users), "asked": len(users), "refitted": 2}


def main() -> None:
    """Measure one data set and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--part", choices=("valid", "test"), default="test")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--asked", type=int, default=2000)
    options = parser.parse_args()
    world = World.of(load(options.data))
    has_times = world.dataset.times is not None
    at_it, later = (
        arms(
            world.dataset.n_items, content=world.content, has_times=has_times, in_sitting=in_sitting
        )
        for in_sitting in (True, False)
    )
    document: dict[str, object] = {
        "seed": SEED,
        "data": options.data,
        "part": options.part,
        "random": at_random(world, later, part=options.part, n_users=options.users),
    }
    if has_times:
        document["time"] = in_time(world, at_it, part=options.part, n_asked=options.asked)
    if options.part == "test":
        document["cold"] = when_cold(world, at_it)
        if world.content is not None:
            document["cold_items"] = of_new_items(world, later, n_users=options.users)
        document["shilling"] = under_attack(world, later, n_users=min(300, options.users))
    suffix = "" if options.part == "test" else "_valid"
    print(write_result(f"quality_served_{options.data}{suffix}", document))


if __name__ == "__main__":
    main()
