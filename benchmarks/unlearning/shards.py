"""Models of disjoint parts of the pairs: what SISA, GraphEraser, RecEraser and UltraRE share.

A shard's model is a function of its own pairs, the validation part of their users, the seed
and the shard's number, and of nothing else. So a shard that holds nothing of a request keeps
its bits, and one that does gets those of a fit without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from benchmarks.data import Ints
from benchmarks.unlearning.protocol import PAIR_BYTES, Floats, Interactions, Setup
from benchmarks.unlearning.trained import Trained, learned_backbone
from benchmarks.unlearning.wmf import fold_in


@dataclass(slots=True)
class Shard:
    """One part of the pairs and what was learned from it.

    Args:
        pairs: its own.
        slices: of each of its pairs, 0 or more: the order in which they are learned.
        checkpoints: the table after each slice.
        model: after the last; None where no pair is left.
    """

    pairs: Interactions
    slices: Ints
    checkpoints: list[torch.Tensor] = field(default_factory=list)
    model: Trained | None = None


class Shards:
    """All shards of one fit.

    Args:
        setup: names the model of a shard, ``bpr`` or ``lightgcn``.
        count: number of shards.
        slices: number of slices of a shard; a checkpoint is kept after each but the last.
        is_one_start: all shards have the same initial values, so that their spaces are akin.

    Source: SISA (Bourtoule et al., IEEE S&P 2021), section IV.
    """

    touched: tuple[int, ...] = ()
    """Which shards the last fit or forget trained."""

    def __init__(
        self, setup: Setup, *, count: int, slices: int = 1, is_one_start: bool = False
    ) -> None:
        self._setup = setup
        self._is_one_start = is_one_start
        self.count = count
        self._slices = slices
        self.shards: list[Shard] = []

    def fit(self, train: Interactions, *, shard_of: Ints, slice_of: Ints | None = None) -> None:
        """Train every shard from nothing.

        Args:
            train: all pairs.
            shard_of: the shard of each pair.
            slice_of: the slice of each pair within its shard; by default all are in the first.
        """
        slices = np.zeros(len(train), dtype=np.int64) if slice_of is None else slice_of
        self.shards = [
            Shard(train.where(shard_of == number), slices[shard_of == number])
            for number in range(self.count)
        ]
        for number in range(self.count):
            self._train(number, first=0)
        self.touched = tuple(range(self.count))

    def forget(self, gone: Interactions) -> tuple[int, ...]:
        """Train the shards that hold any of these pairs, from their last clean checkpoint."""
        touched = []
        for number, shard in enumerate(self.shards):
            hit = np.isin(shard.pairs.keys, gone.keys)
            if hit.any():
                first = int(shard.slices[hit].min())
                shard.pairs, shard.slices = shard.pairs.where(~hit), shard.slices[~hit]
                self._train(number, first=first)
                touched.append(number)
        self.touched = tuple(touched)
        return self.touched

    def models(self) -> list[tuple[int, Trained]]:
        """Return the shards that have a model, with their numbers."""
        return [
            (number, shard.model)
            for number, shard in enumerate(self.shards)
            if shard.model is not None
        ]

    def holds_user(self) -> Floats:
        """Return 1 where a shard has a pair of a user, shape (count, n_users)."""
        return np.stack([shard.pairs.lengths > 0 for shard in self.shards]).astype(np.float32)

    def holds_item(self) -> Floats:
        """Return 1 where a shard has a pair of an item, shape (count, n_items)."""
        return np.stack([shard.pairs.degrees > 0 for shard in self.shards]).astype(np.float32)

    def state_bytes(self) -> int:
        """Return the size of all tables, checkpoints and pairs."""
        tables = sum(model.state_bytes() for _, model in self.models())
        kept = sum(table.nbytes for shard in self.shards for table in shard.checkpoints)
        return tables + int(kept) + sum(PAIR_BYTES * len(shard.pairs) for shard in self.shards)

    def _train(self, number: int, *, first: int) -> None:
        shard = self.shards[number]
        del shard.checkpoints[first:]
        start = shard.checkpoints[-1] if shard.checkpoints else None
        shard.model = None
        for slice_number in range(first, self._slices):
            learned = shard.pairs.where(shard.slices <= slice_number)
            if len(learned):
                seed = _seed(self._setup.seed, number * (not self._is_one_start), slice_number)
                shard.model = learned_backbone(self._setup, seed=seed)
                shard.model.fit(learned, valid=self._setup.valid_of(learned), start=start)
                start = shard.model.model.table.detach().clone()
            if slice_number < self._slices - 1 and start is not None:
                shard.checkpoints.append(start)


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def with_popular(scores: Floats, *, users: Ints, left: Interactions) -> Floats:
    """Return the scores, and popularity for those who have no pair left."""
    scores[left.lengths[users] == 0] = left.degrees.astype(np.float32)
    return scores


class FoldedIn:
    """Users' vectors in models that were trained without them, computed when first asked for.

    Args:
        count: number of models.
        unobserved: as in ``wmf.fold_in``.
        decay: as there.
    """

    def __init__(self, *, count: int, unobserved: float, decay: float) -> None:
        self._weights = {"unobserved": unobserved, "decay": decay}
        self._kept: list[dict[int, Floats]] = [{} for _ in range(count)]

    def vectors(self, number: int, *, items: Floats, users: Ints, left: Interactions) -> Floats:
        """Return the vectors of these users, shape (len(users), d), to go with ``items``."""
        kept = self._kept[number]
        missing = [user for user in np.unique(users).tolist() if user not in kept]
        if missing:
            histories = [left.histories[user] for user in missing]
            found = fold_in(items, histories, **self._weights).astype(np.float32)
            kept.update(zip(missing, found, strict=True))
        return np.stack([kept[user] for user in users.tolist()])

    def drop(self, *, models: tuple[int, ...], users: Ints) -> None:
        """Forget the vectors of some models, and of some users everywhere."""
        for number, kept in enumerate(self._kept):
            if number in models:
                kept.clear()
            for user in users.tolist():
                kept.pop(user, None)

    def state_bytes(self) -> int:
        """Return the size of the vectors that are kept."""
        return sum(vector.nbytes for kept in self._kept for vector in kept.values())
