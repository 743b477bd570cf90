"""A system that has forgotten beside the one that has not and two that were retrained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.data import SEED, Ints
from benchmarks.quality.metrics import interval
from benchmarks.unlearning.attacks import attack
from benchmarks.unlearning.lists import DISTANCES, Doubles, jaccard, overlap, residual
from benchmarks.unlearning.observe import Lens, Observed
from benchmarks.unlearning.protocol import Interactions
from benchmarks.unlearning.scenarios import Scenario

UTILITY = {"ndcg@10": "ndcg", "recall@20": "recall", "hr@10": "hit"}
_NEIGHBOURS = 50
_DRAWS = 1000

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Four:
    """The four systems of a comparison.

    Args:
        original: fitted on everything; has forgotten nothing.
        unlearned: the original, after it has forgotten.
        retrained: fitted on what is left, with another seed.
        again: the same with a third seed; how far the two are apart is the floor.
    """

    original: Observed
    unlearned: Observed
    retrained: Observed
    again: Observed


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Who is looked at: numbers of users.

    Args:
        retained: have something left.
        asked: of them something was forgotten.
        others: have something left and nothing was forgotten of them.
        neighbours: the 50 others nearest by cosine to any who asked.
    """

    retained: Ints
    asked: Ints
    others: Ints
    neighbours: Ints

    @classmethod
    def of(cls, lens: Lens) -> Groups:
        """Divide the users of the data set."""
        n_users = lens.world.train.n_users
        asked = np.unique(lens.gone.users)
        retained = np.unique(lens.left.users)
        asked, retained = asked[asked < n_users], retained[retained < n_users]
        others = np.setdiff1d(retained, asked)
        return cls(retained, asked, others, nearest(lens.world.train, asked, others))


def nearest(train: Interactions, asked: Ints, others: Ints) -> Ints:
    """Return the 50 of ``others`` most like any of ``asked`` by cosine of their items."""
    if not len(asked) or not len(others):
        return others[:0]
    has = np.zeros((train.n_users, train.n_items), dtype=np.float32)
    has[train.users, train.items] = 1
    has /= np.maximum(np.sqrt(train.lengths), 1)[:, None]
    alike = (has[others] @ has[asked].T).max(axis=1)
    return np.sort(others[np.argsort(-alike, kind="stable")[:_NEIGHBOURS]])


def compare(lens: Lens, scenario: Scenario, four: Four) -> Facts:
    """Return every figure of a comparison but time and size."""
    groups = Groups.of(lens)
    facts: Facts = {
        "users": {name: len(getattr(groups, name)) for name in ("retained", "asked", "others")},
        "pairs_forgotten": len(lens.gone),
        "utility": utility(groups, four),
        "distance": distance(groups.retained, four),
        "collateral": collateral(groups, four),
        "mia": membership(four) if len(lens.asked.users) else None,
    }
    if len(scenario.topic):
        facts["topic_in_top_10"] = _each(
            four, lambda seen: float(np.isin(seen.lists[groups.asked, :10], scenario.topic).mean())
        )
    if len(scenario.targets):
        facts["targets_hit_at_20"] = _each(
            four,
            lambda seen: float(np.isin(seen.lists, scenario.targets).any(axis=1).mean()),
        )
    return facts


def utility(groups: Groups, four: Four) -> Facts:
    """Return every metric of those who stay and of those who asked, and its gap to retraining."""
    found: Facts = {}
    for group in ("retained", "asked"):
        users = getattr(groups, group)
        if not len(users):
            continue
        found[group] = {
            metric: {
                "unlearned": _interval(getattr(four.unlearned, name)[users]),
                "retrained": _interval(getattr(four.retrained, name)[users]),
                "original": _known_mean(getattr(four.original, name)[users]),
                "gap_to_retrained": _interval(
                    getattr(four.unlearned, name)[users] - getattr(four.retrained, name)[users]
                ),
            }
            for metric, name in UTILITY.items()
        }
    return found


def distance(users: Ints, four: Four) -> Facts:
    """Return how far the lists are from the retrained system's, and the residual."""
    found: Facts = {}
    for name, far in DISTANCES.items():
        kept = four.retrained.lists[users]
        unlearned = far(four.unlearned.lists[users], kept)
        original = float(far(four.original.lists[users], kept).mean())
        floor = float(far(four.again.lists[users], kept).mean())
        mean = float(unlearned.mean())
        found[name] = {
            "unlearned": _interval(unlearned),
            "original": original,
            "floor": floor,
            "residual": residual(unlearned=mean, original=original, floor=floor),
            "lists_equal": float((unlearned == 0).mean()),
        }
    return found


def collateral(groups: Groups, four: Four) -> Facts:
    """Return what happened to the lists of those who asked for nothing."""
    pairs = {
        "unlearned_to_retrained": (four.unlearned, four.retrained),
        "unlearned_to_original": (four.unlearned, four.original),
        "retrained_to_original": (four.retrained, four.original),
        "retrained_to_retrained": (four.again, four.retrained),
    }
    found: Facts = {}
    for name, (ours, theirs) in pairs.items():
        alike = overlap(ours.lists[groups.others], theirs.lists[groups.others])
        near = overlap(ours.lists[groups.neighbours], theirs.lists[groups.neighbours])
        sets = jaccard(ours.lists[groups.others], theirs.lists[groups.others])
        found[name] = {
            "rbo@20": _mean(alike),
            "jaccard@10": _mean(sets),
            "rbo@20_of_worst_percent": _mean(np.sort(alike)[: max(1, len(alike) // 100)]),
            "rbo@20_of_50_neighbours": _mean(near),
        }
    return found


def membership(four: Four) -> Facts:
    """Attack what is served, and what the server's memory gives away."""
    found: Facts = {}
    for surface in ("served", "memory"):
        by_system = {
            name: attack(getattr(seen, surface), getattr(seen, f"{surface}_never"))
            for name, seen in _named(four).items()
        }
        gap = by_system["unlearned"]["auc"] - by_system["retrained"]["auc"]
        found[surface] = {**by_system, "auc_gap_to_retrained": gap}
    return found


def _named(four: Four) -> dict[str, Observed]:
    return {name: getattr(four, name) for name in ("original", "unlearned", "retrained")}


def _each(four: Four, figure: Callable[[Observed], float]) -> Facts:
    return {name: figure(seen) for name, seen in _named(four).items()}


def _interval(values: Doubles) -> dict[str, float] | None:
    if np.isnan(values).all():
        return None
    return dict(
        zip(("mean", "low", "high"), interval(values, seed=SEED, draws=_DRAWS), strict=True)
    )


def _known_mean(values: Doubles) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmean(values))


def _mean(values: Doubles) -> float | None:
    return float(values.mean()) if len(values) else None
