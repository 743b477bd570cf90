"""What a recommender that unlearns must do to be measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import Dataset, Ints

Floats = NDArray[np.floating]
"""Scores, vectors and tables: float32, but for a sum that a method takes in float64."""
Value = int | float | str
Setting = Mapping[str, Value]


@dataclass(frozen=True, eq=False)
class Interactions:
    """Distinct pairs of a user and an item.

    Args:
        users: shape (n,), ascending.
        items: aligned with ``users``, ascending within a user.
        n_users: users are below it, with or without a pair.
        n_items: items are below it.
    """

    users: Ints
    items: Ints
    n_users: int
    n_items: int

    @classmethod
    def of(cls, histories: Sequence[Ints], *, n_items: int) -> Interactions:
        """Return the pairs of one array of items for each user."""
        users = np.repeat(np.arange(len(histories)), [len(row) for row in histories])
        items = np.concatenate([*histories, np.empty(0, dtype=np.int64)])
        return cls(*_ordered(users, items), len(histories), n_items)

    @cached_property
    def histories(self) -> list[Ints]:
        """One array of items, ascending, for each user."""
        return np.split(self.items, np.cumsum(self.lengths)[:-1])

    @cached_property
    def lengths(self) -> Ints:
        """Number of items by user, shape (n_users,)."""
        return np.bincount(self.users, minlength=self.n_users)

    @cached_property
    def degrees(self) -> Ints:
        """Number of users by item, shape (n_items,)."""
        return np.bincount(self.items, minlength=self.n_items)

    @cached_property
    def keys(self) -> Ints:
        """One number a pair, ascending."""
        return self.users * self.n_items + self.items

    def __len__(self) -> int:
        return len(self.users)

    def where(self, mask: NDArray[np.bool_]) -> Interactions:
        """Return the pairs where ``mask``, shape (n,), is true."""
        return Interactions(self.users[mask], self.items[mask], self.n_users, self.n_items)

    def without(self, gone: Interactions) -> Interactions:
        """Return the pairs that are not in ``gone``.

        Raises:
            ValueError: ``gone`` is not a subset.
        """
        if not np.isin(gone.keys, self.keys).all():
            raise ValueError("what is to be forgotten was never there")
        return self.where(~np.isin(self.keys, gone.keys))

    def together(self, more: Interactions) -> Interactions:
        """Return these pairs and others; there may be new users among them."""
        n_users = max(self.n_users, more.n_users)
        users = np.concatenate([self.users, more.users])
        items = np.concatenate([self.items, more.items])
        return Interactions(*_ordered(users, items), n_users, self.n_items)

    def of_users(self, users: Ints) -> Interactions:
        """Return the pairs of these users; nobody is renumbered."""
        return self.where(np.isin(self.users, users))


def _ordered(users: Ints, items: Ints) -> tuple[Ints, Ints]:
    order = np.lexsort((items, users))
    return users[order], items[order]


class Backbone(Protocol):
    """A recommender that is fitted once, and again from nothing."""

    def fit(self, train: Interactions, *, valid: Interactions) -> None:
        """Learn from ``train``; ``valid`` may say when to stop."""

    def scores(self, users: Ints) -> Floats:
        """As ``System.scores``."""

    def exposed(self, users: Ints) -> Floats:
        """As ``System.exposed``."""

    def state_bytes(self) -> int:
        """Return the size of all that is kept to serve; the pairs are not counted."""


class System(Protocol):
    """A recommender that can forget."""

    name: str
    """Of the method, as in the tables."""

    def fit(self, train: Interactions) -> None:
        """Learn from these pairs alone; what was learned before is dropped.

        The validation part of the set-up may choose when to stop, less the users who are not
        in ``train`` (``Setup.valid_of``).
        """

    def forget(self, gone: Interactions) -> None:
        """Make it as if these pairs, a subset of what is left of the last fit, never were.

        All that one request costs is in here, for it is timed: what answers wrongly until a
        background job has run has not forgotten.
        """

    def scores(self, users: Ints) -> Floats:
        """Return what is served, shape (len(users), n_items), larger is better.

        Items that a user has need not be masked. A user without any pair gets the
        non-personalised order. An item that is never shown may have -inf.
        """

    def exposed(self, users: Ints) -> Floats:
        """Return the scores that somebody with the whole memory of the server could compute.

        Most systems: the stored vectors' product, whether or not the user still has a pair.
        Where nothing by user is stored, or serving uses all of it: ``scores``. A pair that is
        itself still stored, other than as training data, may have inf: it is known for certain.
        """

    def state_bytes(self) -> int:
        """Return the size of all that is kept to serve and to forget again.

        Checkpoints and the pairs too: ``PAIR_BYTES`` for each pair that is kept.
        """

    def personal_data_in_weights(self) -> str:
        """Return yes or no, a colon, and why: after ``forget``, for the table."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a system is made from, besides the pairs it is fitted on.

    Args:
        dataset: titles and traits of the items; its histories must not be used.
        valid: the validation part of every user.
        backbone: ``popularity``, ``item_knn``, ``ease``, ``bpr`` or ``lightgcn``.
        backbone_setting: what tuning chose for that backbone.
        seed: of everything that is random; the same seed and pairs give the same scores.
        setting: of the method, one of its ``grid``.
    """

    dataset: Dataset
    valid: Interactions
    backbone: str
    backbone_setting: Setting
    seed: int
    setting: Setting = field(default_factory=dict)

    def valid_of(self, train: Interactions) -> Interactions:
        """Return the validation part of those who still have a pair."""
        return self.valid.of_users(np.unique(train.users))


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the tables. A module of ``methods`` lists its own in ``METHODS``.

    Args:
        name: lower case, digits, underscores; part of file names.
        backbones: those that it is measured on.
        make: builds an unfitted system.
        grid: the settings tried on the validation part, at most ``BUDGET``.
        reference: whose refit it is measured against: its own (``""``, for methods that change
            the architecture) or that of another method (``retrain`` for those that edit a
            plain backbone).
        scenarios: those that it is measured in; none named means all.
        note: one line for the report: source and what was decided where the paper is silent.
    """

    name: str
    backbones: tuple[str, ...]
    make: Callable[[Setup], System]
    grid: tuple[Setting, ...] = ({},)
    reference: str = "retrain"
    scenarios: tuple[str, ...] = ()
    note: str = ""


BUDGET: Final = 6
"""How many settings of a method are tried on the validation part."""
PAIR_BYTES: Final = 8
"""A user and an item as two 32-bit numbers."""
