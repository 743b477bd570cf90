"""Train BPR matrix factorisation or LightGCN and measure it: the learned baselines.

Needs torch, which the service does not; ``benchmarks.quality.grid`` says what is trained. With 0
layers LightGCN is BPR matrix factorisation. Trained on the training part, stopped on the
validation part.

Sources: He et al., "LightGCN", SIGIR 2020; Rendle et al., "BPR", UAI 2009.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.data import Ints, Split
from benchmarks.quality.metrics import Scorer, evaluate

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3


@dataclass(frozen=True, slots=True)
class Setting:
    """How to train.

    Args:
        layers: propagation steps; 0 is matrix factorisation.
        rate: Adam's learning rate.
        decay: L2 penalty on the sampled embeddings, per triple.
        dim: size of an embedding.
        batch: triples a step.
        seed: of initial values and samples.
        patience: checks of the validation part without a gain until training stops.
        every: epochs between checks.
        max_cpu_s: processor seconds after which training stops in any case.
        max_epochs: epochs after which it does; unlike the seconds, the same everywhere.
    """

    layers: int
    rate: float
    decay: float
    dim: int
    batch: int
    seed: int
    patience: int
    every: int
    max_cpu_s: float
    max_epochs: int = 100_000


class LightGcn:
    """Embeddings of users and items, averaged over powers of the normalised adjacency."""

    def __init__(self, train: list[Ints], *, n_items: int, setting: Setting) -> None:
        self._setting = setting
        self._n_users = len(train)
        self._sizes = (len(train), n_items)
        generator = torch.Generator().manual_seed(setting.seed)
        start = torch.randn(len(train) + n_items, setting.dim, generator=generator) * 0.1
        self.table = torch.nn.Parameter(start)
        self.use_graph(train)

    def __deepcopy__(self, memo: dict[int, object]) -> LightGcn:
        """Return one with a table of its own; the graph is never changed in place."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.table = torch.nn.Parameter(self.table.detach().clone())
        return copy

    def use_graph(self, train: list[Ints]) -> None:
        """Propagate over these pairs from now on; the embeddings stay as they are."""
        if self._setting.layers:
            self._adjacency = _adjacency(train, n_items=self._sizes[1])

    def layers(self) -> list[torch.Tensor]:
        """Return the table and what each propagation step makes of it."""
        found: list[torch.Tensor] = [self.table]
        for _ in range(self._setting.layers):
            found.append(_Propagate.apply(found[-1], self._adjacency))
        return found

    def final(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the embeddings of users and of items after propagation."""
        users, items = torch.split(self._propagated(), self._sizes)
        return users, items

    def _propagated(self) -> torch.Tensor:
        layers = self.layers()
        return sum(layers[1:], layers[0]) / len(layers) if len(layers) > 1 else layers[0]

    def loss(self, users: Ints, liked: Ints, other: Ints) -> torch.Tensor:
        """Return the BPR loss of a batch of triples, with its penalty."""
        rows = torch.from_numpy(
            np.concatenate([users, self._n_users + liked, self._n_users + other])
        )
        # Its gradient is an addition by row: a third of a step faster than that of table[rows].
        final = self._propagated().index_select(0, rows)
        user, good, bad = final.view(3, len(users), -1)
        ranking = -torch.nn.functional.logsigmoid((user * (good - bad)).sum(1)).mean()
        drawn = self.table.index_select(0, rows) if self._setting.layers else final
        penalty = drawn.pow(2).sum() / (2 * len(users))
        return ranking + self._setting.decay * penalty

    def scorer(self) -> Scorer:
        """Return the model as it is now."""
        with torch.no_grad():
            users, items = (part.clone() for part in self.final())
        return lambda block: (users[torch.from_numpy(block)] @ items.T).numpy()


class _Propagate(torch.autograd.Function):
    """Sparse product with a symmetric matrix; torch's own backward pass is ten times slower."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, layer: torch.Tensor, adjacency: torch.Tensor
    ) -> torch.Tensor:
        ctx.adjacency = adjacency
        return torch.sparse.mm(adjacency, layer)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, grad: torch.Tensor
    ) -> tuple[torch.Tensor, None]:
        return torch.sparse.mm(ctx.adjacency, grad), None


def _adjacency(train: list[Ints], *, n_items: int) -> torch.Tensor:
    """Return D^-1/2 A D^-1/2 of the graph of users and items, sparse."""
    n_users = len(train)
    owner = np.repeat(np.arange(n_users), [len(row) for row in train])
    item = np.concatenate(train) + n_users
    rows, columns = np.concatenate([owner, item]), np.concatenate([item, owner])
    degree = np.bincount(rows, minlength=n_users + n_items).astype(np.float64)
    values = 1 / np.sqrt(degree[rows] * degree[columns])
    places = torch.from_numpy(np.stack([rows, columns]))
    shape = (n_users + n_items, n_users + n_items)
    weights = torch.from_numpy(values.astype(np.float32))
    return torch.sparse_coo_tensor(places, weights, shape).coalesce().to_sparse_csr()


class Triples:
    """Users, an item that each has and a uniform one that it has not, for BPR's loss."""

    def __init__(self, train: list[Ints], *, n_items: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.owner = np.repeat(np.arange(len(train)), [len(row) for row in train])
        self.liked = np.concatenate(train)
        self._has = np.zeros((len(train), n_items), dtype=bool)
        self._has[self.owner, self.liked] = True

    def epoch(self, batch: int) -> Iterator[tuple[Ints, Ints, Ints]]:
        """Return every pair once in a fresh order, each with a fresh negative, in batches."""
        order = self._rng.permutation(len(self.owner))
        other = self._negatives(self.owner)
        for at in range(0, len(order), batch):
            chosen = order[at : at + batch]
            yield self.owner[chosen], self.liked[chosen], other[chosen]

    def _negatives(self, users: Ints) -> Ints:
        drawn = self._rng.integers(0, self._has.shape[1], len(users))
        while True:
            wrong = self._has[users, drawn]
            if not wrong.any():
                return drawn
            drawn[wrong] = self._rng.integers(0, self._has.shape[1], int(wrong.sum()))


def train(
    parts: Split,
    *,
    n_items: int,
    users: Ints,
    setting: Setting,
    start: torch.Tensor | None = None,
) -> tuple[LightGcn, dict[str, object]]:
    """Train until validation NDCG@10 stops rising; return the best state.

    Args:
        parts: what to learn from and when to stop; the test part is not read.
        n_items: items are below it.
        users: whose validation part counts.
        setting: how to train.
        start: a table to go on from; by default fresh initial values.

    Returns:
        The model, and how training went.
    """
    quicken()
    model = LightGcn(parts.train, n_items=n_items, setting=setting)
    if start is not None:
        model.table.data.copy_(start)
    optimiser = torch.optim.Adam([model.table], lr=setting.rate, fused=True)
    triples = Triples(parts.train, n_items=n_items, seed=setting.seed)
    begun, begun_wall, curve = time.process_time(), time.perf_counter(), []
    best, best_epoch, kept, epoch = -1.0, 0, model.table.detach().clone(), 0
    stopped = "cap"
    while time.process_time() - begun < setting.max_cpu_s and epoch < setting.max_epochs:
        epoch += 1
        for users_of, liked, other in triples.epoch(setting.batch):
            optimiser.zero_grad()
            model.loss(users_of, liked, other).backward()
            optimiser.step()
        if epoch % setting.every:
            continue
        found = evaluate(model.scorer(), users=users, seen=[parts.train], wanted=parts.valid)
        value = float(np.nanmean(found["ndcg@10"]))
        curve.append([epoch, round(time.process_time() - begun, 1), round(value, 5)])
        if value > best:
            best, best_epoch, kept = value, epoch, model.table.detach().clone()
        elif epoch - best_epoch >= setting.patience * setting.every:
            stopped = "early"
            break
    if curve:
        with torch.no_grad():
            model.table.copy_(kept)
    return model, {
        "valid_ndcg@10": best,
        "best_epoch": best_epoch,
        "epochs": epoch,
        "stopped": stopped,
        "cpu_s": round(time.process_time() - begun, 1),
        "wall_s": round(time.perf_counter() - begun_wall, 1),
        "curve": curve,
    }


def quicken() -> None:
    """Set torch and the allocator up for small steps; changes no figure beyond the last bits."""
    # Buffers that torch multiplies by zero before it fills them hold what lay there before: often
    # denormal numbers, which halve the speed of a step.
    torch.set_flush_denormal(True)
    # Let the allocator keep the buffers of a step instead of giving them back to the system.
    for parameter in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
        ctypes.CDLL(None).mallopt(parameter, 2**31 - 1)
