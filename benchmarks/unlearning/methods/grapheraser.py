"""GraphEraser: a balanced partition of the graph, one LightGCN a shard, learned weights.

Source: Chen M. et al., "Graph Unlearning", CCS 2022. Its two partitions are ``grapheraser_lpa``
(balanced label propagation) and ``grapheraser_km`` (balanced k-means on embeddings); its
aggregation, LBAggr, is one weight a shard. What is ours, for the paper is about graphs of one
kind of node:

* The nodes that are parted are the users. Were items parted as well, nine tenths of the edges
  would be cut and every item known to one shard alone. Two users are joined by the items that
  both have, each counted with 1 / its number of users.
* Like the paper's models, a shard's answers for nodes of other shards: a user who was not in
  its training gets the propagated vectors of the items that the user has.
* The weights are learned by BPR's loss (the paper: cross-entropy of posteriors) on 1,000 pairs,
  and anew after each request, because they saw what was deleted.
* The embeddings for k-means are of a factorisation of all pairs. As in the paper, the partition
  is not made anew: that is what is left of a deleted user.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch

from benchmarks.data import Ints
from benchmarks.quality.neural import Triples
from benchmarks.unlearning.partitions import balanced_k_means, balanced_labels
from benchmarks.unlearning.protocol import Floats, Interactions, Method, Setup
from benchmarks.unlearning.shards import Shards, with_popular
from benchmarks.unlearning.trained import Trained
from benchmarks.unlearning.wmf import factors

_SAMPLE = 1000
"""Pairs to learn the weights from, as in the paper."""
_EPOCHS = 50
_DECAY = 1e-4
_SLACK = 0.005


class GraphEraser:
    """Shards of users.

    ``setting``: ``partition`` (``lpa``, ``km``), ``shards``, ``rate`` (Adam's, of the weights).
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.name = f"grapheraser_{setup.setting['partition']}"
        self.shards = Shards(setup, count=int(setup.setting["shards"]))

    def fit(self, train: Interactions) -> None:
        """Part the users, train the shards, learn the weights."""
        self._train = train
        self.shard_of_user = self._partition(train)
        self.shards.fit(train, shard_of=self.shard_of_user[train.users])
        self._aggregate()

    def forget(self, gone: Interactions) -> None:
        """Retrain the users' shards, and learn the weights anew."""
        self._train = self._train.without(gone)
        self.shards.forget(gone)
        self._aggregate()

    def scores(self, users: Ints) -> Floats:
        """Return the weighted sum over the shards."""
        total = np.zeros((len(users), self._train.n_items), dtype=np.float32)
        for place, vectors, items in self._views(users):
            total += self.weights[place] * (vectors @ items.T)
        return with_popular(total, users=users, left=self._train)

    def exposed(self, users: Ints) -> Floats:
        """Return the products of each user's row in the user's shard, as it is."""
        scores = np.zeros((len(users), self._train.n_items), dtype=np.float32)
        own = self.shard_of_user[users]
        for number, model in self.shards.models():
            scores[own == number] = model.exposed(users[own == number])
        return scores

    def state_bytes(self) -> int:
        """Return shards, partition and weights."""
        return self.shards.state_bytes() + self.shard_of_user.nbytes + int(self.weights.nbytes)

    def personal_data_in_weights(self) -> str:
        """Name the partition."""
        return "yes: the partition was made with it, and stays"

    def _partition(self, train: Interactions) -> Ints:
        parts, seed = self.shards.count, self._setup.seed
        if self._setup.setting["partition"] == "lpa":
            shape = (train.n_users, train.n_items)
            ones = np.ones(len(train))
            has = scipy.sparse.csr_matrix((ones, (train.users, train.items)), shape=shape)
            shared = scipy.sparse.csr_matrix(has.multiply(1 / np.maximum(train.degrees, 1)))
            affinity = scipy.sparse.csr_matrix(shared @ has.T)
            affinity.setdiag(0)
            return balanced_labels(affinity, parts=parts, slack=_SLACK, seed=seed)
        users, _ = factors(train, seed=seed)
        return balanced_k_means([users], parts=parts, slack=1 + _SLACK, seed=seed)

    def _aggregate(self) -> None:
        """Learn one weight a shard, >= 0, sum 1."""
        users, liked, other = self._sample()
        gaps = [
            (vectors * (items[liked] - items[other])).sum(1)
            for _, vectors, items in self._views(users)
        ]
        margin = torch.from_numpy(np.stack(gaps, axis=1))
        weights = torch.nn.Parameter(torch.full((len(gaps),), 1 / len(gaps)))
        optimiser = torch.optim.Adam([weights], lr=float(self._setup.setting["rate"]))
        for _ in range(_EPOCHS):
            for block in torch.split(margin, 100):
                optimiser.zero_grad()
                loss = -torch.nn.functional.logsigmoid(block @ weights).mean()
                (loss + _DECAY * weights.norm()).backward()
                optimiser.step()
                with torch.no_grad():
                    weights.clamp_(min=0)
                    weights.div_(weights.sum().clamp(min=1e-12))
        self.weights = weights.detach().numpy().copy()

    def _sample(self) -> tuple[Ints, Ints, Ints]:
        """Return random pairs that are left, each with a negative."""
        left, seed = self._train, self._setup.seed
        chosen = np.random.default_rng([seed, 1]).permutation(len(left))[:_SAMPLE]
        triples = Triples(left.histories, n_items=left.n_items, seed=seed)
        columns = zip(*triples.epoch(len(left)), strict=True)
        users, liked, other = (np.concatenate(column)[chosen] for column in columns)
        return users, liked, other

    def _views(self, users: Ints) -> list[tuple[int, Floats, Floats]]:
        """Return for each shard with a model its place, the users' vectors and all items'."""
        found = []
        for place, (number, model) in enumerate(self.shards.models()):
            degrees = self.shards.shards[number].pairs.degrees
            histories = [self._train.histories[user] for user in users.tolist()]
            vectors = propagated(model, degrees=degrees, histories=histories)
            own = self.shard_of_user[users] == number
            vectors[own] = model.user_vectors[users[own]]
            found.append((place, vectors, model.item_vectors))
        return found


def propagated(model: Trained, *, degrees: Ints, histories: list[Ints]) -> Floats:
    """Return the vectors that LightGCN gives users who were not in its training.

    A new user's node starts at 0 and takes in its items', layer by layer, as LightGCN's own
    users do: the mean over layers of sum_i e_i / sqrt(d_u d_i).

    Args:
        model: of a shard.
        degrees: users by item in that shard.
        histories: of the users; an item that the shard has not seen adds next to nothing.
    """
    with torch.no_grad():
        layers = model.model.layers()
        passed = sum(layers[:-1]) / len(layers)
    items = passed.numpy()[-len(degrees) :] / np.sqrt(np.maximum(degrees, 1))[:, None]
    lengths = np.array([len(history) for history in histories])
    owner = np.repeat(np.arange(len(histories)), lengths)
    shape = (len(histories), len(degrees))
    has = scipy.sparse.csr_matrix(
        (np.ones(len(owner), dtype=np.float32), (owner, np.concatenate(histories))), shape=shape
    )
    found = (has @ items) / np.sqrt(np.maximum(lengths, 1))[:, None]
    return np.asarray(found, dtype=np.float32)


METHODS = tuple(
    Method(
        name=f"grapheraser_{partition}",
        backbones=("lightgcn",),
        make=GraphEraser,
        grid=tuple(
            {"partition": partition, "shards": 10, "rate": rate} for rate in (0.001, 0.01, 0.1)
        ),
        reference="",
        note=f"Chen M. et al. 2022; shards of users by balanced {title}, learned weights.",
    )
    for partition, title in (("lpa", "label propagation"), ("km", "k-means"))
)
