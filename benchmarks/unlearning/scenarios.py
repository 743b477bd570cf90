"""What is forgotten: users, pairs, a topic, poison, one by one or at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np

from benchmarks.data import Ints
from benchmarks.unlearning.protocol import Interactions
from benchmarks.unlearning.world import World

SENSITIVE: Final = 11
"""Column of the genre that stands for a sensitive topic: horror."""
_TARGETS: Final = 5
_FILLER: Final = 30

NONE: Final = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Scenario:
    """What a system is fitted on and what it is asked to forget.

    Args:
        name: as in the tables and file names.
        kind: ``one``: every request on a fresh copy; ``batch``: one request; ``stream``: the
            requests one after another.
        train: what the system is fitted on.
        requests: what to forget, each a subset of ``train``, disjoint.
        topic: items of the topic that is forgotten.
        targets: items that the poison pushes.
    """

    name: str
    kind: str
    train: Interactions
    requests: tuple[Interactions, ...]
    topic: Ints = field(default_factory=NONE.copy)
    targets: Ints = field(default_factory=NONE.copy)

    def gone(self, *, until: int | None = None) -> Interactions:
        """Return what the first ``until`` requests, or all, forget."""
        asked = self.requests[:until]
        keys = np.concatenate([NONE, *(request.keys for request in asked)])
        return self.train.where(np.isin(self.train.keys, keys))


def one_user(world: World, *, seed: int) -> Scenario:
    """Forget one user; 100 times, each from a fresh copy."""
    users = _rng(seed, 1).permutation(_active(world))[:100]
    requests = tuple(world.train.of_users(users[at : at + 1]) for at in range(len(users)))
    return Scenario("one-user", "one", world.train, requests)


def some_users(world: World, *, who: str, percent: int, seed: int) -> Scenario:
    """Forget some users at once: at random, the most active, or the least active."""
    users = _rng(seed, 2).permutation(_active(world))
    if who != "random":
        lengths = world.train.lengths[users]
        users = users[np.argsort(-lengths if who == "most" else lengths, kind="stable")]
    chosen = users[: round(percent / 100 * len(users))]
    name = f"users-{who}-{percent}"
    return Scenario(name, "batch", world.train, (world.train.of_users(chosen),))


def some_pairs(world: World, *, who: str, share: float, seed: int) -> Scenario:
    """Forget some pairs at once: at random, of popular items, or of unpopular ones."""
    order = _rng(seed, 3).permutation(len(world.train))
    if who != "random":
        degrees = world.train.degrees[world.train.items[order]]
        order = order[np.argsort(-degrees if who == "popular" else degrees, kind="stable")]
    mask = np.zeros(len(world.train), dtype=bool)
    mask[order[: max(1, round(share * len(order)))]] = True
    return Scenario(f"pairs-{who}-{share:g}", "batch", world.train, (world.train.where(mask),))


def topic(world: World, *, seed: int) -> Scenario:
    """Let 10 % of the users forget all horror films; they stay.

    Raises:
        ValueError: the data say nothing about topics.
    """
    if world.dataset.traits is None:
        raise ValueError(f"{world.dataset.name} has no traits")
    items = np.flatnonzero(world.dataset.traits[:, SENSITIVE])
    users = _rng(seed, 4).permutation(_active(world))[: round(0.1 * world.train.n_users)]
    mask = np.isin(world.train.users, users) & np.isin(world.train.items, items)
    return Scenario("topic", "batch", world.train, (world.train.where(mask),), topic=items)


def poison(world: World, *, seed: int) -> Scenario:
    """Let 5 % of bandwagon users push five unpopular items between popular ones; forget them."""
    rng = _rng(seed, 5)
    by_degree = np.argsort(-world.train.degrees, kind="stable")
    targets = np.sort(rng.permutation(by_degree[len(by_degree) // 2 :])[:_TARGETS])
    popular = by_degree[: 3 * _FILLER]
    fakes = max(1, round(0.05 * world.train.n_users))
    profiles = [
        np.sort(np.concatenate([targets, rng.permutation(popular)[:_FILLER]])) for _ in range(fakes)
    ]
    histories = [*([NONE] * world.train.n_users), *profiles]
    fake = Interactions.of(histories, n_items=world.train.n_items)
    return Scenario("poison", "batch", world.train.together(fake), (fake,), targets=targets)


def stream(world: World, *, requests: int, seed: int) -> Scenario:
    """Forget ``requests`` times, one after another, a user of five or else a pair.

    A fifth of the requests are a whole user each, though never more than half of the users;
    the rest are one pair each of somebody who stays.
    """
    rng = _rng(seed, 6)
    active = _active(world)
    users = rng.permutation(active)[: min(requests // 5, len(active) // 2)]
    pairs = rng.permutation(np.flatnonzero(~np.isin(world.train.users, users)))
    asked = [world.train.of_users(users[at : at + 1]) for at in range(len(users))]
    for pair in pairs[: requests - len(asked)].tolist():
        mask = np.zeros(len(world.train), dtype=bool)
        mask[pair] = True
        asked.append(world.train.where(mask))
    order = rng.permutation(len(asked)).tolist()
    return Scenario("stream", "stream", world.train, tuple(asked[at] for at in order))


SCENARIOS: Final[dict[str, Callable[..., Scenario]]] = {
    "one-user": one_user,
    **{
        f"users-{who}-{percent}": partial(some_users, who=who, percent=percent)
        for who in ("random", "most", "least")
        for percent in (1, 5, 10)
    },
    "pairs-random-0.0001": partial(some_pairs, who="random", share=0.0001),
    **{
        f"pairs-{who}-0.01": partial(some_pairs, who=who, share=0.01)
        for who in ("random", "popular", "unpopular")
    },
    "topic": topic,
    "poison": poison,
    "stream": partial(stream, requests=1000),
}
"""Every scenario by name: from a world and a seed."""


def _active(world: World) -> Ints:
    return np.unique(world.train.users)


def _rng(seed: int, part: int) -> np.random.Generator:
    return np.random.default_rng([seed, part])
