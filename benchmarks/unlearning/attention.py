"""RecEraser's aggregation: each shard's vectors turned into one space and weighed by attention."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.data import Ints
from benchmarks.quality.metrics import evaluate
from benchmarks.quality.neural import Triples
from benchmarks.unlearning.protocol import Floats, Interactions


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train it.

    Args:
        rate: Adam's learning rate.
        decay: L2 penalty on the transforms; 1e-5 in RecEraser.
        seed: of initial values, samples and dropout.
        attention: width of the attention's hidden layer; 32 there.
        dropped: share of a user's aggregated vector that is dropped in training; 0.3 there.
        batch: triples a step.
        epochs: at most; 50 there.
        every: epochs between checks of the validation part.
        patience: checks without a gain until training stops.
    """

    rate: float
    decay: float
    seed: int
    attention: int = 32
    dropped: float = 0.3
    batch: int = 8192
    epochs: int = 50
    every: int = 2
    patience: int = 4


class Side(torch.nn.Module):
    """The users' or the items' half.

    Args:
        tables: of each shard, frozen, shape (shards, n, d).
        holds: whether a shard has a pair of a row, shape (shards, n). A row that a shard has
            not seen is that shard's random start; it gets no attention there.
        plan: how to train.
        generator: of the initial values.
    """

    def __init__(
        self, tables: Floats, *, holds: Floats, plan: Plan, generator: torch.Generator
    ) -> None:
        super().__init__()
        shards, _, dim = tables.shape
        self.register_buffer("tables", torch.from_numpy(tables))
        barred = torch.from_numpy(holds == 0)
        self.register_buffer("barred", barred & ~barred.all(dim=0))
        width = plan.attention

        def drawn(*shape: int) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.randn(*shape, generator=generator) / dim**0.5)

        near_one = torch.eye(dim).repeat(shards, 1, 1)
        self.turn = torch.nn.Parameter(near_one + 0.1 * drawn(shards, dim, dim).detach())
        self.shift = torch.nn.Parameter(torch.zeros(shards, 1, dim))
        self.hidden, self.offset = drawn(dim, width), torch.nn.Parameter(torch.zeros(width))
        self.asked = drawn(width)

    def forward(self) -> torch.Tensor:
        """Return the aggregated vectors, shape (n, d)."""
        turned = torch.baddbmm(self.shift, self.tables, self.turn)
        wanted = torch.relu(turned @ self.hidden + self.offset) @ self.asked
        shares = torch.softmax(wanted.masked_fill(self.barred, -torch.inf), dim=0)
        return (shares[..., None] * turned).sum(0)


def aggregate(
    tables: tuple[Floats, Floats],
    *,
    holds: tuple[Floats, Floats],
    train: Interactions,
    valid: Interactions,
    plan: Plan,
) -> tuple[Floats, Floats, int]:
    """Learn the aggregation on all pairs; stop on ``valid``.

    Args:
        tables: of users and of items, each of shape (shards, n, d).
        holds: whether a shard has seen a row, for users and for items.
        train: all pairs.
        valid: the validation part of their users.
        plan: how to train.

    Returns:
        The vectors of users and items at the best check, and the size of what was learned in
        bytes.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    sides = [
        Side(table, holds=held, plan=plan, generator=generator)
        for table, held in zip(tables, holds, strict=True)
    ]
    learned = [parameter for side in sides for parameter in side.parameters()]
    optimiser = torch.optim.Adam(learned, lr=plan.rate)
    triples = Triples(train.histories, n_items=train.n_items, seed=plan.seed)
    wanted = [*valid.histories, *([np.empty(0, dtype=np.int64)] * (train.n_users - valid.n_users))]
    checked = np.intersect1d(train.users, valid.users)
    best, best_epoch, kept = -1.0, 0, [side().detach().numpy() for side in sides]
    for epoch in range(1, plan.epochs + 1):
        for block in triples.epoch(plan.batch):
            optimiser.zero_grad()
            _loss(sides, block, plan=plan, generator=generator).backward()
            optimiser.step()
        if epoch % plan.every:
            continue
        users, items = (side().detach().numpy() for side in sides)
        value = _quality((users, items), checked, train=train, wanted=wanted)
        if value > best:
            best, best_epoch, kept = value, epoch, [users, items]
        elif epoch - best_epoch >= plan.patience * plan.every:
            break
    return kept[0], kept[1], sum(parameter.nbytes for parameter in learned)


def _loss(
    sides: list[Side], block: tuple[Ints, Ints, Ints], *, plan: Plan, generator: torch.Generator
) -> torch.Tensor:
    users, liked, other = (torch.from_numpy(column) for column in block)
    user_table, item_table = (side() for side in sides)
    # As in the backbone's loss: the gradient of index_select is an addition by row.
    chosen = user_table.index_select(0, users)
    stays = torch.rand(chosen.shape, generator=generator) >= plan.dropped
    chosen = chosen * stays / (1 - plan.dropped)
    gap = item_table.index_select(0, liked) - item_table.index_select(0, other)
    margin = (chosen * gap).sum(1)
    penalty = sum(side.turn.pow(2).sum() for side in sides)
    return -torch.nn.functional.logsigmoid(margin).mean() + plan.decay * penalty


def _quality(
    vectors: tuple[Floats, Floats], users: Ints, *, train: Interactions, wanted: list[Ints]
) -> float:
    of_users, of_items = vectors
    found = evaluate(
        lambda block: of_users[block] @ of_items.T,
        users=users,
        seen=[train.histories],
        wanted=wanted,
    )
    return float(np.nanmean(found["ndcg@10"]))
