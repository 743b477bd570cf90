"""IFRU: one damped influence step on the rows that a deletion touches.

Source: Zhang Y. et al., "Recommendation Unlearning via Influence Function", ACM TORS 2024.
theta <- theta + H^-1 g, where g is the sum over deleted pairs of their gradient and, for
LightGCN, what the deleted edges change in the loss of everybody else: the gradient of the whole
loss over the old graph less that over the new one. Only rows that matter move: a row's weight
is its deleted pairs over its degree, passed on ``hops`` times to neighbours; the others are
held (the paper's pruning). Sums in the place of means cancel the 1/n.

What is ours: BPR's loss with one fixed negative a pair in H (the paper: cross-entropy of
labels, which implicit data lack) and ``_NEGATIVES`` in g. The released solver follows the
residual with Adam, without damping, and stops by validation AUC, which tunes to utility and
not to forgetting; CRAGRU's port moves each coordinate by less than 1e-6. Here it is conjugate
gradients with damping, and ``solution`` tells the residual.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.unlearning.backbones import LEARNED
from benchmarks.unlearning.edited import Edited
from benchmarks.unlearning.influence import Solution, Table, Triples, fixed_triples, solve
from benchmarks.unlearning.protocol import PAIR_BYTES, Floats, Interactions, Method

_NEGATIVES = 8


class Ifru(Edited):
    """``setting``: ``damping``, ``hops``.

    ``solution`` is the last one, with the residual of its linear system.
    """

    name = "ifru"
    why_in_weights = "yes: one approximate step; what is left of it is measured, not excluded"
    solution: Solution

    def fit(self, train: Interactions) -> None:
        """Train the backbone, and draw the negatives of H."""
        super().fit(train)
        self.triples = fixed_triples(train, each=1, seed=self._setup.seed)

    def edit(self, table: Floats, *, gone: Interactions, left: Interactions) -> Floats:
        """Return the table after one influence step."""
        moves = touched_rows(gone, self.left, hops=int(self._setup.setting["hops"]))
        every, users = self.triples, np.flatnonzero(gone.lengths)
        self.triples = every.redrawn(users, left=left, each=1, seed=self._setup.seed)
        if self._setup.backbone == "lightgcn":
            whole = self.objective(every, graph=self.left, each=1)
            kept = every.where(~_of(every, gone))
            rest = self.objective(kept, graph=left, each=1)
            target: Table = whole.gradient(table) - rest.gradient(table)
        else:
            near = every.where(_near(every, moves, n_users=gone.n_users))
            whole = self.objective(near, graph=self.left, each=1)
            theirs = self.left.of_users(users)
            many = fixed_triples(theirs, each=_NEGATIVES, seed=self._setup.seed + 1)
            share = self.objective(many.where(_of(many, gone)), graph=self.left, each=_NEGATIVES)
            target = share.gradient(table)
        product = whole.curvature(table)

        def within(step: Table) -> Table:
            return moves * product(moves * step)

        damping = float(self._setup.setting["damping"])
        self.solution = solve(within, moves * target, damping=damping)
        return table + self.solution.step

    def state_bytes(self) -> int:
        """Return the table, the pairs and a negative for each."""
        return super().state_bytes() + PAIR_BYTES // 2 * len(self.left)


def touched_rows(gone: Interactions, before: Interactions, *, hops: int) -> Floats:
    """Return 1 for rows of the table that may move, else 0, shape (n_users + n_items, 1)."""
    users, items = gone.lengths > 0, gone.degrees > 0
    for _ in range(hops):
        reached = np.bincount(before.users[items[before.items]], minlength=gone.n_users) > 0
        items = items | (np.bincount(before.items[users[before.users]], minlength=gone.n_items) > 0)
        users = users | reached
    return np.concatenate([users, items]).astype(np.float32)[:, None]


def _of(triples: Triples, gone: Interactions) -> NDArray[np.bool_]:
    return np.isin(triples.users * gone.n_items + triples.liked, gone.keys)


def _near(triples: Triples, moves: Floats, *, n_users: int) -> NDArray[np.bool_]:
    """Return which triples have a row that moves; without propagation no other bends it."""
    moving = moves[:, 0] > 0
    of_items = moving[n_users:]
    return moving[triples.users] | of_items[triples.liked] | of_items[triples.other]


METHODS = (
    Method(
        name="ifru",
        backbones=LEARNED,
        make=Ifru,
        grid=tuple(
            {"damping": damping, "hops": hops} for hops in (0, 1) for damping in (1.0, 10.0, 100.0)
        ),
        note="Zhang Y. et al. 2024; conjugate gradients with damping, residual told.",
    ),
)
