"""EASE: item weights in closed form from the co-occurrence matrix, and its exact downdate.

Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019:
P = (G + R)^-1, B_ij = -P_ij / P_jj, B_jj = 0; a user's scores are the sum of the rows of B
of the items in the history. There R = lambda I and G counts users; here both are weighed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.inverse import invert
from app.adapters.neighbours.lists import Ints
from app.adapters.neighbours.weighing import UNIT, Weighing
from app.domain.models import ItemId

Floats = NDArray[np.float64]

_BLOCK = 256
_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Ease:
    """A fitted model: a pure function of counts and degrees in the order of the item ids.

    Equal Gram matrices give equal bytes on one machine with one build of the BLAS.

    Memory: n^2 x 12 bytes (8 for P, 4 for B), 164 MB at 3,695 items, 1.2 GB at 10,000.

    Args:
        items: ids, ascending.
        position: where each item stands.
        inverse: P, shape (n, n), float64.
        diagonal: of P, shape (n,), float64.
        weights: B, shape (n, n), float32, zero on the diagonal.
        degrees: how many users had each item, shape (n,).
        weighing: how users and items were weighed.
        residual: largest error of P (G + R) z = z for a fixed z, relative to z.
        generation: of the state that it was computed from.
    """

    items: Sequence[ItemId]
    position: Mapping[ItemId, int]
    inverse: Floats
    diagonal: Floats
    weights: NDArray[np.float32]
    degrees: Ints
    weighing: Weighing
    residual: float
    generation: int

    def positions(self, items: Iterable[ItemId]) -> Ints:
        """Return the positions of those items that the model knows, ascending, distinct."""
        known = {self.position[item] for item in items if item in self.position}
        return np.array(sorted(known), dtype=np.int64)

    def rows(self, items: Ints) -> Floats:
        """Return what each of these items alone says of every item, shape (len(items), n)."""
        rows: Floats = self.weights[items].astype(np.float64)
        return rows

    def scores(self, history: Ints, counts: Floats) -> Floats:
        """Return the score of every item, shape (n,).

        Args:
            history: distinct positions, ascending.
            counts: how much each of them counts.
        """
        # Not a product of BLAS, whose last bits depend on how it cuts its work.
        rows = self.weights[history] * counts.astype(np.float32)[:, None]
        total: Floats = rows.sum(axis=0, dtype=np.float32).astype(np.float64)
        return total


def fit(
    gram: Floats,
    *,
    items: Sequence[ItemId],
    degrees: Ints,
    weighing: Weighing,
    generation: int = 0,
) -> Ease:
    """Fit EASE; ``gram`` is overwritten and becomes part of the model.

    Args:
        gram: counts, shape (n, n), float64, rows and columns in the order of ``items``.
        items: ids, ascending.
        degrees: how many users have each item, shape (n,).
        weighing: how users were weighed, and how items are to be.
        generation: of the state that the counts are from.
    """
    gram[np.diag_indices(len(gram))] += weighing.ridge(degrees)
    known = 1.0 / np.arange(1, len(gram) + 1)
    image = gram @ known
    inverse = invert(gram)
    diagonal = inverse.diagonal().copy()
    weights = np.empty(inverse.shape, dtype=np.float32)
    for begin in range(0, len(weights), _BLOCK):
        weights[begin : begin + _BLOCK] = -inverse[begin : begin + _BLOCK] / diagonal
    weights[np.diag_indices(len(weights))] = 0
    return Ease(
        items=items,
        position={item: at for at, item in enumerate(items)},
        inverse=inverse,
        diagonal=diagonal,
        weights=weights,
        degrees=degrees,
        weighing=weighing,
        residual=float(np.abs(inverse @ image - known).max(initial=0.0)),
        generation=generation,
    )


class Removal:
    """What one user has lost since a model was fitted.

    Args:
        had: positions of all the user's items in the model, distinct.
        keeps: positions of those that the user still has.
    """

    def __init__(self, model: Ease, *, had: Ints, keeps: Ints) -> None:
        self._model = model
        self.lost: Ints = np.setdiff1d(had, keeps)
        self._terms = [(had, -1.0), (keeps, 1.0)] if len(keeps) else [(had, -1.0)]

    @cached_property
    def columns(self) -> Floats:
        """Return P x for each changed row x of the interaction matrix, shape (n, 1 or 2)."""
        inverse = self._model.inverse
        return np.stack([inverse[at].sum(axis=0) for at, _ in self._terms], axis=1)

    @property
    def scales(self) -> list[float]:
        """Return what a row taken out counted (negative), and what a row put back counts."""
        weighing = self._model.weighing
        return [sign * weighing.of_user(len(at)) / UNIT for at, sign in self._terms]

    def sums(self, columns: Floats) -> Floats:
        """Return x' C for each changed row x, shape (1 or 2, k)."""
        return np.stack([columns[at].sum(axis=0) for at, _ in self._terms])


class Downdate:
    """The model as it would be without some users' removed items, by the Woodbury identity.

    With U the changed rows and the unit rows of items whose ridge changes (columns of U), and
    S their scales, G' = G + U S U', so P' = P - W (S^-1 + U' W)^-1 W' with W = P U. P' is
    never formed: scores need only some rows of it and its diagonal. Within 1e-9 of a refit,
    not its bits.

    Memory: 8 n k bytes, k <= 2 a user, and an item whose ridge changes.
    """

    def __init__(self, model: Ease, removals: Sequence[Removal]) -> None:
        self._model = model
        eased, steps = _ridge_steps(model, removals)
        parts = [removal.columns for removal in removals]
        self._columns = np.concatenate([*parts, model.inverse[:, eased]], axis=1)
        scales = np.concatenate([*(removal.scales for removal in removals), steps])
        sums = [removal.sums(self._columns) for removal in removals]
        inner = np.concatenate([*sums, self._columns[eased]])
        core = np.diag(1 / scales) + inner
        self._solved = np.linalg.solve(core, self._columns.T)
        self._diagonal = model.diagonal - np.einsum("ik,ki->i", self._columns, self._solved)
        # P' U must satisfy P' (U + U S U' P U) = P U: an ill-conditioned core shows here.
        changed = self._columns - self._solved.T @ inner.T
        error = changed + changed @ (scales[:, None] * inner) - self._columns
        self._residual = float(np.abs(error).max() / np.abs(self._columns).max())
        # Haynsworth: G' is positive definite exactly where the core has S's signs.
        negative = int((np.linalg.eigvalsh((core + core.T) / 2) < 0).sum())
        self._is_definite = negative == int((scales < 0).sum())

    @property
    def is_sound(self) -> bool:
        """Whether the residuals are within the tolerance and G' is positive definite."""
        return self._is_definite and max(self._residual, self._model.residual) <= _TOLERANCE

    def rows(self, items: Ints) -> Floats:
        """Return what each of these items alone says of every item, shape (len(items), n)."""
        rows: Floats = self._model.inverse[items] - self._columns[items] @ self._solved
        rows /= -self._diagonal
        rows[np.arange(len(items)), items] = 0
        return rows

    def scores(self, history: Ints, counts: Floats) -> Floats:
        """Return the score of every item, shape (n,); the arguments are those of ``Ease``."""
        rows: Floats = (self._model.inverse[history] * counts[:, None]).sum(axis=0)
        rows -= (self._columns[history] * counts[:, None]).sum(axis=0) @ self._solved
        rows /= -self._diagonal
        return rows


def _ridge_steps(model: Ease, removals: Sequence[Removal]) -> tuple[Ints, Floats]:
    """Return the positions of items whose ridge changes by the removals, and by how much."""
    lost = np.concatenate([removal.lost for removal in removals])
    fewer = model.degrees - np.bincount(lost, minlength=len(model.degrees))
    steps = model.weighing.ridge(fewer) - model.weighing.ridge(model.degrees)
    eased = np.flatnonzero(steps)
    return eased, steps[eased]
