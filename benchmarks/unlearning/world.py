"""One data set under the protocol: one split, made before anything is forgotten."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.data import SEED, Dataset, load, split
from benchmarks.unlearning.protocol import Interactions


class LeakError(AssertionError):
    """Something that is to be predicted was shown."""


@dataclass(frozen=True, eq=False)
class World:
    """The three parts of a data set.

    Args:
        dataset: the items' facts, and everything that happened.
        train: the only part that a system learns from and forgets of.
        valid: chooses settings and when to stop.
        test: is only ever scored.
    """

    dataset: Dataset
    train: Interactions
    valid: Interactions
    test: Interactions

    @classmethod
    def of(cls, dataset: Dataset, *, seed: int = SEED) -> World:
        """Split 8:1:1 at random, user by user, and assert that nothing leaks.

        Raises:
            LeakError: a pair is in two parts, or in none.
        """
        parts = split(dataset.histories, seed=seed)
        made = (
            Interactions.of(part, n_items=dataset.n_items)
            for part in (parts.train, parts.valid, parts.test)
        )
        world = cls(dataset, *made)
        world.check()
        return world

    @classmethod
    def read(cls, name: str) -> World:
        """Read a data set by its name."""
        return cls.of(load(name))

    def check(self) -> None:
        """Assert for every user that the parts are disjoint and together the history.

        Raises:
            LeakError: they are not.
        """
        parts = zip(self.train.histories, self.valid.histories, self.test.histories, strict=True)
        for user, (row, part) in enumerate(zip(self.dataset.histories, parts, strict=True)):
            together = np.sort(np.concatenate(part))
            if not np.array_equal(together, row):
                raise LeakError(f"the parts of user number {user} are not a partition")

    def check_shown(self, left: Interactions) -> None:
        """Assert that no pair of a training set is to be predicted.

        Raises:
            LeakError: one is.
        """
        for part in (self.valid, self.test):
            if np.isin(left.keys, part.keys).any():
                raise LeakError("a pair to be predicted is in the training part")
