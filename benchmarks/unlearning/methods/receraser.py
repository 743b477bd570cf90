"""RecEraser: balanced parts of users, items or pairs, and attention over the shards.

Source: Chen C. et al., "Recommendation Unlearning", WWW 2022. What its released code does
otherwise, and we do not follow:

* Its centroids are means over all axes, one number each, so that the partition degenerates
  after the first iteration. Here a centroid has a coordinate for each dimension.
* It stops on the test part. Here shards and aggregation stop on the validation part.
* A row that a shard has not seen is that shard's random start; its attention may still choose
  it. Here such rows get no attention.

As in the paper, the partition stands on vectors of a factorisation of all pairs and is not
made anew at a request: that is what is left of a deleted user. The aggregation is learned anew
at each request, over all pairs that are left.
"""

from __future__ import annotations

import numpy as np

from benchmarks.data import Ints
from benchmarks.unlearning.attention import Plan, aggregate
from benchmarks.unlearning.backbones import LEARNED
from benchmarks.unlearning.partitions import balanced_k_means
from benchmarks.unlearning.protocol import Floats, Interactions, Method, Setup
from benchmarks.unlearning.shards import Shards, with_popular
from benchmarks.unlearning.wmf import factors

_SLACK = 1.2


class RecEraser:
    """Shards of users, items or pairs.

    ``setting``: ``partition`` (``user``, ``item``, ``pair``), ``shards``, and of the
    aggregation ``rate`` and ``decay``.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.name = f"receraser_{setup.setting['partition']}"
        self.shards = Shards(setup, count=int(setup.setting["shards"]))

    def fit(self, train: Interactions) -> None:
        """Part the pairs, train the shards, learn to aggregate."""
        self._train = train
        self.shards.fit(train, shard_of=self._partition(train))
        self._aggregate()

    def forget(self, gone: Interactions) -> None:
        """Retrain the shards that hold a pair, and learn to aggregate anew."""
        self._train = self._train.without(gone)
        self.shards.forget(gone)
        self._aggregate()

    def scores(self, users: Ints) -> Floats:
        """Return products of aggregated vectors, and popularity for those without a pair."""
        return with_popular(self.exposed(users), users=users, left=self._train)

    def exposed(self, users: Ints) -> Floats:
        """Return products of aggregated vectors, for everybody."""
        scores: Floats = self.user_vectors[users] @ self.item_vectors.T
        return scores

    def state_bytes(self) -> int:
        """Return shards, aggregation, and the vectors that are served."""
        vectors = self.user_vectors.nbytes + self.item_vectors.nbytes
        return self.shards.state_bytes() + vectors + self._aggregator_bytes

    def personal_data_in_weights(self) -> str:
        """Name the partition."""
        return "yes: the partition was made with it, and stays"

    def _partition(self, train: Interactions) -> Ints:
        users, items = factors(train, seed=self._setup.seed)
        by = self._setup.setting["partition"]
        parts, seed = self.shards.count, self._setup.seed
        if by == "pair":
            views = [users[train.users], items[train.items]]
            return balanced_k_means(views, parts=parts, slack=_SLACK, seed=seed)
        vectors, owners = (users, train.users) if by == "user" else (items, train.items)
        return balanced_k_means([vectors], parts=parts, slack=_SLACK, seed=seed)[owners]

    def _aggregate(self) -> None:
        models = self.shards.models()
        numbers = [number for number, _ in models]
        plan = Plan(
            rate=float(self._setup.setting["rate"]),
            decay=float(self._setup.setting["decay"]),
            seed=self._setup.seed,
        )
        self.user_vectors, self.item_vectors, self._aggregator_bytes = aggregate(
            (
                np.stack([model.user_vectors for _, model in models]),
                np.stack([model.item_vectors for _, model in models]),
            ),
            holds=(self.shards.holds_user()[numbers], self.shards.holds_item()[numbers]),
            train=self._train,
            valid=self._setup.valid_of(self._train),
            plan=plan,
        )


METHODS = tuple(
    Method(
        name=f"receraser_{partition}",
        backbones=LEARNED,
        make=RecEraser,
        grid=tuple(
            {"partition": partition, "shards": 10, "rate": rate, "decay": decay}
            for rate in (0.003, 0.01)
            for decay in (1e-5, 1e-6)
        ),
        reference="",
        note=f"Chen C. et al. 2022; balanced parts by {partition}, attention over the shards.",
    )
    for partition in ("user", "item", "pair")
)
