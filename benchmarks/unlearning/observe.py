"""What is looked at of a system before and after it has forgotten, and of a retrained one."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from benchmarks.data import SEED
from benchmarks.quality.metrics import rate
from benchmarks.unlearning.attacks import Probes, probe, probes
from benchmarks.unlearning.lists import Doubles, top_lists
from benchmarks.unlearning.protocol import Interactions, System
from benchmarks.unlearning.world import LeakError, World

MAX_PROBES = 5000


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """A system's answers.

    Args:
        lists: the best 20 items of every user of the data set, shape (n_users, 20).
        ndcg: NDCG@10 by user; NaN without test items. ``recall`` (@20) and ``hit`` (@10) as well.
        served: standardised scores that are served, of forgotten pairs, shape (n,).
        served_never: the same of their never-seen partners.
        memory: the same as ``served``, of the scores that the server's memory gives away.
        memory_never: of their partners.
        fit_cpu_s: processor seconds of the fit, shape (1,).
    """

    lists: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    ndcg: Doubles
    recall: Doubles
    hit: Doubles
    served: Doubles
    served_never: Doubles
    memory: Doubles
    memory_never: Doubles
    fit_cpu_s: Doubles

    def save(self, path: Path) -> None:
        """Write all arrays; a file that is there is whole, whoever else writes the same."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.npz")
        np.savez_compressed(partial, **{one.name: getattr(self, one.name) for one in fields(self)})
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> Observed:
        """Read what ``save`` wrote."""
        with np.load(path) as arrays:
            return cls(**{one.name: arrays[one.name] for one in fields(cls)})


@dataclass(frozen=True, eq=False)
class Lens:
    """How systems are looked at in one scenario, all of them alike.

    Args:
        world: the data set.
        left: the training part without what is forgotten: its items are not listed.
        gone: what is forgotten.
        asked: the pairs that are probed.
    """

    world: World
    left: Interactions
    gone: Interactions
    asked: Probes

    @classmethod
    def of(cls, world: World, *, train: Interactions, gone: Interactions) -> Lens:
        """Choose the probes, and assert that nothing leaks.

        Raises:
            LeakError: a training pair is to be predicted.
        """
        left = train.without(gone)
        world.check_shown(left)
        ever = Interactions.of(world.dataset.histories, n_items=train.n_items)
        asked = probes(gone, ever=ever, left=left, limit=MAX_PROBES, seed=SEED)
        return cls(world, left, gone, asked)

    def look(self, system: System, *, fit_cpu_s: float = 0.0) -> Observed:
        """Ask for everybody's list and for the probes.

        Who has nothing left gets no item hidden: nothing of theirs is known any more.

        Raises:
            LeakError: a list has an item that the user's history has.
        """
        world = self.world
        users = np.arange(world.train.n_users)
        stay = world.valid.of_users(np.unique(self.left.users))
        seen = [self.left.histories, stay.histories]
        lists = top_lists(system.scores, users=users, seen=seen)
        listed = (users[:, None] * world.train.n_items + lists).ravel()
        if np.isin(listed, self.left.keys).any():
            raise LeakError("a list has an item of the history")
        # A system may be too costly to answer everybody: who is not answered is not rated.
        one_in = getattr(system, "one_in", 1)
        wanted = [row[: len(row) * (n % one_in == 0)] for n, row in enumerate(world.test.histories)]
        rated = rate(lists, wanted=wanted)
        served, served_never = probe(system.scores, self.asked)
        memory, memory_never = probe(system.exposed, self.asked)
        return Observed(
            lists=lists,
            ndcg=rated["ndcg@10"],
            recall=rated["recall@20"],
            hit=rated["hr@10"],
            served=served,
            served_never=served_never,
            memory=memory,
            memory_never=memory_never,
            fit_cpu_s=np.array([fit_cpu_s]),
        )
