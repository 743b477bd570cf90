"""SISA: random isolated shards, learned slice by slice, their scores averaged.

Source: Bourtoule et al., "Machine Unlearning", IEEE S&P 2021. What is ours:

* Scores are averaged, not embeddings: the spaces of two shards are rotated against each other.
* Shards and slices are drawn from each user's (or pair's) number alone, so the partition of
  the rest does not depend on who was forgotten: all of ``forget`` equals a fresh ``fit``.
* ``sisa`` splits by user, the unit of a request. A user's own row exists in one shard only.
  The paper's members all answer every input; here the input is the history, from which each
  shard's item vectors give a user vector by least squares (``wmf.fold_in``). CRAGRU's port
  instead tops up each block with a row of every missing user and item, which ends isolation.
* ``sisa_pairs`` splits by pair, as RecEraser's comparison does: all shards know the user and a
  request touches nearly all of them. With 10 shards it is below popularity on ML-100K (BPR:
  validation NDCG@10 .109 against .127), because 8 pairs a user and shard are too few; so 3 or 5.
"""

from __future__ import annotations

import numpy as np

from benchmarks.data import Ints
from benchmarks.unlearning.backbones import LEARNED
from benchmarks.unlearning.partitions import random_parts
from benchmarks.unlearning.protocol import Floats, Interactions, Method, Setup
from benchmarks.unlearning.shards import FoldedIn, Shards, with_popular

_SLICES_FROM = 1_000_003
"""Added to the seed, so that slices are drawn independently of shards."""


def _shards(setup: Setup) -> Shards:
    setting = setup.setting
    return Shards(setup, count=int(setting["shards"]), slices=int(setting.get("slices", 1)))


class Sisa:
    """Shards of users.

    ``setting``: ``shards``, ``slices``, and of the users' vectors ``unobserved`` and ``decay``.
    """

    name = "sisa"

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.shards = _shards(setup)

    def fit(self, train: Interactions) -> None:
        """Draw shards and slices, and train each shard."""
        self._train = train
        self._others = FoldedIn(
            count=self.shards.count,
            unobserved=float(self._setup.setting["unobserved"]),
            decay=float(self._setup.setting["decay"]),
        )
        _fit(self.shards, train, keys=train.users, setup=self._setup)

    def forget(self, gone: Interactions) -> None:
        """Retrain the users' shards from the slice before theirs."""
        self._train = self._train.without(gone)
        touched = self.shards.forget(gone)
        self._others.drop(models=touched, users=np.unique(gone.users))

    def scores(self, users: Ints) -> Floats:
        """Return the mean over all shards."""
        total = np.zeros((len(users), self._train.n_items), dtype=np.float32)
        models = self.shards.models()
        for number, model in models:
            items = model.item_vectors
            vectors = self._others.vectors(number, items=items, users=users, left=self._train)
            total += vectors @ items.T
        return with_popular(total / len(models), users=users, left=self._train)

    def exposed(self, users: Ints) -> Floats:
        """Return the products of each user's row in the shard that is, or was, the user's."""
        own = random_parts(users, parts=self.shards.count, seed=self._setup.seed)
        scores = np.zeros((len(users), self._train.n_items), dtype=np.float32)
        for number, model in self.shards.models():
            scores[own == number] = model.exposed(users[own == number])
        return scores

    def state_bytes(self) -> int:
        """Return tables, checkpoints, pairs and users' vectors."""
        return self.shards.state_bytes() + self._others.state_bytes()

    def personal_data_in_weights(self) -> str:
        """Say that nothing is left."""
        return "no: the shards that held it were trained anew without it"


class SisaPairs:
    """Shards of pairs.

    ``setting``: ``shards``, ``slices``.
    """

    name = "sisa_pairs"

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.shards = _shards(setup)

    def fit(self, train: Interactions) -> None:
        """Draw shards and slices, and train each shard."""
        self._train = train
        _fit(self.shards, train, keys=train.keys, setup=self._setup)

    def forget(self, gone: Interactions) -> None:
        """Retrain the shards that hold one of the pairs."""
        self._train = self._train.without(gone)
        self.shards.forget(gone)

    def scores(self, users: Ints) -> Floats:
        """Return the mean over the shards that know the user."""
        knows = self.shards.holds_user()[:, users]
        total = np.zeros((len(users), self._train.n_items), dtype=np.float32)
        for number, model in self.shards.models():
            total += knows[number][:, None] * model.exposed(users)
        mean = total / np.maximum(knows.sum(0), 1)[:, None]
        return with_popular(mean, users=users, left=self._train)

    def exposed(self, users: Ints) -> Floats:
        """Return the mean over all shards, of users who are known or not."""
        found = [model.exposed(users) for _, model in self.shards.models()]
        mean: Floats = np.mean(found, axis=0)
        return mean

    def state_bytes(self) -> int:
        """Return tables, checkpoints and pairs."""
        return self.shards.state_bytes()

    def personal_data_in_weights(self) -> str:
        """Say that nothing is left."""
        return "no: the shards that held it were trained anew without it"


def _fit(shards: Shards, train: Interactions, *, keys: Ints, setup: Setup) -> None:
    shards.fit(
        train,
        shard_of=random_parts(keys, parts=shards.count, seed=setup.seed),
        slice_of=random_parts(
            keys, parts=int(setup.setting.get("slices", 1)), seed=setup.seed + _SLICES_FROM
        ),
    )


METHODS = (
    Method(
        name="sisa",
        backbones=LEARNED,
        make=Sisa,
        grid=tuple(
            {"shards": 10, "slices": 3, "unobserved": unobserved, "decay": decay}
            for unobserved in (0.05, 0.2)
            for decay in (1.0, 10.0, 30.0)
        ),
        reference="",
        note="Bourtoule et al. 2021; shards of users, each answers from the history.",
    ),
    Method(
        name="sisa_pairs",
        backbones=LEARNED,
        make=SisaPairs,
        grid=({"shards": 3, "slices": 3}, {"shards": 5, "slices": 3}),
        reference="",
        note="Bourtoule et al. 2021; shards of pairs, as RecEraser compares with.",
    ),
)
