"""Beside accuracy: coverage and popularity, cold people, and ten invented users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.recommendation.opinion import Evidence
from benchmarks.data import SEED, Ints
from benchmarks.quality.arms import N_LISTED, Ask, Fit, Setup, fit_list, named
from benchmarks.quality.served_world import World, evidence, ndcg, summary

COLD: Final = (1, 2, 3, 5)
_N_COLD: Final = 200
_N_FAKES: Final = 10
_N_USUAL: Final = 5
"""Users that an item has at least, for its absence to be missed."""


def beyond(
    world: World, lists: Mapping[str, list[list[int]]], chosen: Ints
) -> dict[str, dict[str, float]]:
    """Return coverage, popularity against what was chosen, share of the tail, and diversity."""
    head = set(np.argsort(-world.degrees, kind="stable")[: len(world.degrees) // 5].tolist())
    usual = float(world.degrees[chosen].mean())
    tables = {**lists, "what was chosen": [[item] for item in chosen.tolist()]}
    report = {}
    for name, listed in tables.items():
        flat = [item for row in listed for item in row]
        report[name] = {
            "coverage": len(set(flat)) / int((world.degrees > 0).sum()),
            "popularity_over_chosen": float(world.degrees[flat].mean()) / usual,
            "tail_share": float(np.mean([item not in head for item in flat])),
        }
        if world.content is not None and name in lists:
            report[name]["diversity"] = _diversity(world.content.vectors, listed)
    return report


def _diversity(vectors: NDArray[np.float32], lists: list[list[int]]) -> float:
    """Return the mean of 1 - cosine over pairs within a list."""
    spreads = []
    for row in (row for row in lists if len(row) > 1):
        cosines = vectors[row] @ vectors[row].T
        pairs = len(row) * (len(row) - 1)
        spreads.append(1 - float(cosines.sum() - np.trace(cosines)) / pairs)
    return float(np.mean(spreads))


def when_cold(world: World, fits: Mapping[str, Fit]) -> dict[str, object]:
    """Measure people of whom nothing was fitted, by their first few events."""
    rng = np.random.default_rng([SEED, 1])
    enough = [user for user, events in world.events.items() if len(events) > 2 * max(COLD)]
    cold = sorted(rng.permutation(enough)[:_N_COLD].tolist())
    rest = {
        u: [evidence(e) for e in events] for u, events in world.events.items() if u not in set(cold)
    }
    report: dict[str, dict[str, dict[str, float]]] = {}
    for name, fit in fits.items():
        ask = fit(rest)
        report[name] = {}
        for n_events in COLD:
            values = []
            for user in cold:
                first, later = world.events[user][:n_events], world.events[user][n_events:]
                listed = ask([evidence(one) for one in first])
                values.append(ndcg(listed, {item for _, item, _ in later}))
            report[name][str(n_events)] = summary(values, cold)
        print("cold", name, {k: round(v["mean"], 4) for k, v in report[name].items()}, flush=True)
    return {"users": len(cold), "arms": report}


def of_new_items(world: World, fits: Mapping[str, Fit], *, n_users: int) -> dict[str, object]:
    """Measure items that nobody has had to do with: a tenth of the films, out of all histories.

    Whether a list shows one at all, and, in a list of such items alone, how well those stand that
    a user likes; beside an order by lot.
    """
    rng = np.random.default_rng([SEED, 4])
    known = np.flatnonzero(world.degrees >= _N_USUAL)
    new = np.sort(rng.choice(known, len(known) // 10, replace=False)).tolist()
    told: dict[int, list[Evidence]] = {}
    wanted: dict[int, set[int]] = {}
    for user, events in world.events.items():
        mean, _ = world.mean(user)
        told[user] = [evidence(one) for one in events if one[1] not in set(new)]
        wanted[user] = {item for _, item, r in events if item in set(new) and r and r > mean}
    users = [user for user in rng.permutation(len(told)).tolist() if wanted[user] and told[user]]
    users = sorted(users[:n_users])
    shown = {}
    for name, fit in fits.items():
        ask = fit(told)
        shown[name] = float(np.mean([bool(set(ask(told[user])) & set(new)) for user in users]))
    old = {named(item) for item in range(world.dataset.n_items)} - {named(item) for item in new}
    alone = fit_list(Setup(in_sitting=False), world.content, told, never=old)
    ways: dict[str, Ask] = {
        "list": alone,
        "by lot": lambda _: rng.permutation(new).tolist()[:N_LISTED],
    }
    found = {
        name: summary([ndcg(ask(told[user]), wanted[user]) for user in users], users)
        for name, ask in ways.items()
    }
    print("new items", shown, found, flush=True)
    return {
        "new_items": len(new),
        "users": len(users),
        "share_shown_one": shown,
        "ndcg_liked_among_them": found,
    }


def under_attack(world: World, fits: Mapping[str, Fit], *, n_users: int) -> dict[str, object]:
    """Measure how often three rare items are listed before and after ten invented users."""
    rng = np.random.default_rng([SEED, 2])
    rare = np.flatnonzero((world.degrees > 0) & (world.degrees <= 5))
    targets = set(rng.choice(rare, 3, replace=False).tolist())
    popular = np.argsort(-world.degrees, kind="stable")[:20].tolist()
    everybody = {u: [evidence(e) for e in events] for u, events in world.events.items()}
    last = max(at for events in world.events.values() for at, _, _ in events)
    best = 5.0 if world.dataset.ratings else None
    fake = [evidence((last + at, item, best)) for at, item in enumerate([*popular, *targets])]
    fakes = {10**6 + number: fake for number in range(_N_FAKES)}
    users = np.sort(rng.permutation(len(everybody))[:n_users]).tolist()
    report = {}
    for name, fit in fits.items():
        shares = []
        for crowd in (everybody, everybody | fakes):
            ask = fit(crowd)
            hits = [bool(targets & set(ask(everybody[user]))) for user in users]
            shares.append(float(np.mean(hits)))
        report[name] = {"before": shares[0], "after": shares[1]}
        print("shilling", name, report[name], flush=True)
    return {"fakes": _N_FAKES, "targets": 3, "users": len(users), "share_shown_a_target": report}
