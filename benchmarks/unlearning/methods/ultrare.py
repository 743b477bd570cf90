"""UltraRE: users in balanced parts by optimal transport, and no aggregator to train.

Source: Li Y. et al., "UltraRE", NeurIPS 2023. Users are parted by balanced optimal transport of
their vectors; each part trains its own model; the users' rows are put together in one matrix,
and an item's score is averaged over the parts' item tables. So a request costs one part.

What is ours: rows of one part times items of another mean something only if the spaces are
akin, so all parts have the same initial values; and ``own`` says how much the user's own part
weighs against the mean of all. With BPR's factorisation the plain mean (``own`` 0) is below
popularity on ML-100K (validation NDCG@10 .119 against .127), and each step towards the own part
is better, to .208 at 1: so 1 comes first in the grid. Transport is solved exactly
(``partitions.transported``).
"""

from __future__ import annotations

import numpy as np

from benchmarks.data import Ints
from benchmarks.unlearning.backbones import LEARNED
from benchmarks.unlearning.partitions import transported
from benchmarks.unlearning.protocol import Floats, Interactions, Method, Setup
from benchmarks.unlearning.shards import Shards, with_popular
from benchmarks.unlearning.wmf import factors


class UltraRe:
    """``setting``: ``shards``, ``own`` (weight of the user's own part, 0 to 1)."""

    name = "ultrare"

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.shards = Shards(setup, count=int(setup.setting["shards"]), is_one_start=True)

    def fit(self, train: Interactions) -> None:
        """Part the users and train the parts."""
        self._train = train
        users, _ = factors(train, seed=self._setup.seed)
        self.shard_of_user = transported(users, parts=self.shards.count, seed=self._setup.seed)
        self.shards.fit(train, shard_of=self.shard_of_user[train.users])

    def forget(self, gone: Interactions) -> None:
        """Retrain the users' parts."""
        self._train = self._train.without(gone)
        self.shards.forget(gone)

    def scores(self, users: Ints) -> Floats:
        """Return products with blended items, and popularity for those without a pair."""
        return with_popular(self.exposed(users), users=users, left=self._train)

    def exposed(self, users: Ints) -> Floats:
        """Return products of the users' rows with blended items, for everybody."""
        models = self.shards.models()
        mean = np.mean([model.item_vectors for _, model in models], axis=0)
        weight = float(self._setup.setting["own"])
        scores = np.zeros((len(users), self._train.n_items), dtype=np.float32)
        own = self.shard_of_user[users]
        for number, model in models:
            items = weight * model.item_vectors + (1 - weight) * mean
            scores[own == number] = model.user_vectors[users[own == number]] @ items.T
        return scores

    def state_bytes(self) -> int:
        """Return parts and partition."""
        return self.shards.state_bytes() + self.shard_of_user.nbytes

    def personal_data_in_weights(self) -> str:
        """Name the partition."""
        return "yes: the partition was made with it, and stays"


METHODS = (
    Method(
        name="ultrare",
        backbones=LEARNED,
        make=UltraRe,
        grid=tuple({"shards": 10, "own": own} for own in (1.0, 0.75, 0.5, 0.25, 0.0)),
        reference="",
        note="Li Y. et al. 2023; users parted by optimal transport, item tables averaged.",
    ),
)
