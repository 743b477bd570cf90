"""Influence functions of BPR matrix factorisation and LightGCN: what IFRU and SCIF share.

LightGCN is linear in its table, F = A E with a symmetric A, so gradients and products with
the Hessian of both models are closed forms: those of matrix factorisation at F, times A.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from benchmarks.data import Ints
from benchmarks.unlearning.protocol import Interactions

Table = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Triples:
    """A user, an item that the user has, one that the user has not; each of shape (n,).

    ``users`` are ascending.
    """

    users: Ints
    liked: Ints
    other: Ints

    def where(self, mask: NDArray[np.bool_]) -> Triples:
        """Return those where ``mask`` is true."""
        return Triples(self.users[mask], self.liked[mask], self.other[mask])

    def redrawn(self, users: Ints, *, left: Interactions, each: int, seed: int) -> Triples:
        """Return ``fixed_triples`` of what is left, where only ``users`` lost something."""
        kept = self.where(~np.isin(self.users, users))
        new = fixed_triples(left.of_users(users), each=each, seed=seed)
        owners = np.concatenate([kept.users, new.users])
        order = np.argsort(owners, kind="stable")
        return Triples(
            owners[order],
            np.concatenate([kept.liked, new.liked])[order],
            np.concatenate([kept.other, new.other])[order],
        )


def fixed_triples(train: Interactions, *, each: int, seed: int) -> Triples:
    """Draw ``each`` uniform negatives for every pair, a user's from seed, user and items alone."""
    drawn = []
    for user, history in enumerate(train.histories):
        if len(history):
            free = np.setdiff1d(np.arange(train.n_items), history)
            rng = np.random.default_rng([seed, user])
            drawn.append(rng.choice(free, size=each * len(history)))
    other = np.concatenate([*drawn, np.empty(0, dtype=np.int64)])
    return Triples(np.repeat(train.users, each), np.repeat(train.items, each), other)


class Propagation:
    """A, the mean over layers of powers of the normalised adjacency; 0 layers: nothing."""

    def __init__(self, train: Interactions, *, layers: int) -> None:
        self._layers = layers
        self._steps: dict[str, scipy.sparse.csr_matrix] = {}
        if layers:
            self._step = self._normalised(train)

    @staticmethod
    def _normalised(train: Interactions) -> scipy.sparse.csr_matrix:
        n_users, size = train.n_users, train.n_users + train.n_items
        degrees = np.concatenate([train.lengths, train.degrees]).astype(np.float64)
        values = 1 / np.sqrt(degrees[train.users] * degrees[n_users + train.items])
        upper = scipy.sparse.coo_matrix(
            (values, (train.users, n_users + train.items)), shape=(size, size)
        )
        return scipy.sparse.csr_matrix(upper + upper.T)

    def __call__(self, table: Table) -> Table:
        """Return A times the table."""
        if not self._layers:
            return table
        if table.dtype.str not in self._steps:  # a product of two types would be of the larger
            self._steps[table.dtype.str] = self._step.astype(table.dtype)
        step = self._steps[table.dtype.str]
        layer = total = table
        for _ in range(self._layers):
            layer = step @ layer
            total = total + layer
        return total / (self._layers + 1)


class Objective:
    """BPR's loss with its penalty, summed over pairs, as a function of the table.

    sum_t w (-log sigmoid(u.(i - j)) + decay / 2 (|e_u|^2 + |e_i|^2 + |e_j|^2)), with final
    vectors in the first term and rows of the table in the second, as ``LightGcn.loss`` has it.

    Args:
        triples: t.
        shape: numbers of users and items.
        propagate: A.
        weight: w, 1 over the negatives of a pair.
        decay: of the penalty.
    """

    def __init__(
        self,
        triples: Triples,
        *,
        shape: tuple[int, int],
        propagate: Callable[[Table], Table],
        weight: float,
        decay: float,
    ) -> None:
        self._triples = triples
        self._n_users, self._n_items = shape
        self._propagate = propagate
        self._weight = weight
        lengths = np.bincount(triples.users, minlength=self._n_users)
        self._borders = np.concatenate([[0], np.cumsum(2 * lengths)])
        self._columns = np.stack([triples.liked, triples.other], axis=1).ravel()
        counts = np.concatenate([lengths, np.bincount(self._columns, minlength=self._n_items)])
        self._ridge = (decay * weight * counts)[:, None]

    def gradient(self, table: Table) -> Table:
        """Return the gradient at the table."""
        pulled = self.pull(-sigmoid(-self.margins(table)), table)
        return pulled + self._ridge.astype(table.dtype) * table

    def margins(self, table: Table) -> Table:
        """Return u.(i - j) of every triple."""
        final = self._propagate(table)
        return self._margins(final, final) / 2

    def pull(self, values: Table, table: Table) -> Table:
        """Return sum_t w value_t (d margin_t / d table)."""
        scaled = (self._weight * values).astype(table.dtype)
        return self._propagate(self._spread(scaled, self._propagate(table)))

    def curvature(self, table: Table) -> Callable[[Table], Table]:
        """Return the product with the Hessian at the table."""
        final = self._propagate(table)
        likes = sigmoid(self._margins(final, final) / 2)
        slope, bend = -self._weight * (1 - likes), self._weight * likes * (1 - likes)
        ridge = self._ridge.astype(table.dtype)

        def product(direction: Table) -> Table:
            moved = self._propagate(direction)
            change = self._spread(bend * self._margins(final, moved), final)
            return self._propagate(change + self._spread(slope, moved)) + ridge * direction

        return product

    def _margins(self, final: Table, moved: Table) -> Table:
        """Return the change of u.(i - j) when ``final`` moves; of itself: twice the margin."""
        users, items = final[: self._n_users], final[self._n_users :]
        of_users, of_items = moved[: self._n_users], moved[self._n_users :]
        at = self._triples
        gap = items[at.liked] - items[at.other]
        found = np.einsum("td,td->t", of_users[at.users], gap)
        gap = of_items[at.liked] - of_items[at.other]
        return np.asarray(found + np.einsum("td,td->t", users[at.users], gap))

    def _spread(self, values: Table, vectors: Table) -> Table:
        """Return sum_t value_t (d margin_t / d final) with ``vectors`` in the place of final."""
        shape = (self._n_users, self._n_items)
        signed = np.stack([values, -values], axis=1).ravel().astype(vectors.dtype)
        pairs = scipy.sparse.csr_matrix((signed, self._columns, self._borders), shape=shape)
        users, items = vectors[: self._n_users], vectors[self._n_users :]
        return np.concatenate([pairs @ items, pairs.T @ users])


def sigmoid(values: Table) -> Table:
    """Return 1 / (1 + exp(-x))."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """What the solver found.

    Args:
        step: x.
        residual: |(H + damping) x - g| / |g|, computed anew at the end.
        iterations: products with H.
        damping: what was added to H; more than asked for where H was not positive.
    """

    step: Table
    residual: float
    iterations: int
    damping: float


def solve(
    product: Callable[[Table], Table],
    target: Table,
    *,
    damping: float,
    tolerance: float = 1e-2,
    iterations: int = 100,
) -> Solution:
    """Solve (H + damping) x = target by conjugate gradients.

    Where a direction of negative curvature shows that H + damping is not positive, damping
    is multiplied by 10 and the solver begins again: the influence function is that of a
    minimum, and the released solvers ignore it.

    Args:
        product: with H, symmetric.
        target: any shape.
        damping: >= 0.
        tolerance: of the residual.
        iterations: at most, for one damping.
    """
    size = float(np.linalg.norm(target))
    if size == 0:
        return Solution(np.zeros_like(target), 0.0, 0, damping)
    spent = 0
    while True:
        step, used, is_positive = _descend(
            product, target, damping=damping, tolerance=tolerance * size, iterations=iterations
        )
        spent += used
        if is_positive:
            break
        damping = max(10 * damping, 1e-3)
    residual = float(np.linalg.norm(product(step) + damping * step - target)) / size
    return Solution(step, residual, spent + 1, damping)


def _descend(
    product: Callable[[Table], Table],
    target: Table,
    *,
    damping: float,
    tolerance: float,
    iterations: int,
) -> tuple[Table, int, bool]:
    """Return x, the products used, and whether all curvatures met were positive."""
    step = np.zeros_like(target)
    left, direction = target.copy(), target.copy()
    squared = float(np.vdot(left, left))
    for used in range(iterations):
        if squared**0.5 <= tolerance:
            return step, used, True
        image = product(direction) + damping * direction
        curvature = float(np.vdot(direction, image))
        if curvature <= 0:
            return step, used + 1, False
        length = squared / curvature
        step += length * direction
        left -= length * image
        before, squared = squared, float(np.vdot(left, left))
        direction = left + (squared / before) * direction
    return step, iterations, True
