"""SCIF: the deleted users' own rows move to what the others' opinion would have made them.

Source: Li Y. et al., "Selective and Collaborative Influence Function for Efficient
Recommendation Unlearning", 2023. Selective: only the target users' rows move, so the Hessian is
small. Collaborative: a deleted pair is not dropped, but its label is replaced by what others
think of it. theta_u <- theta_u + H_u^-1 (sum grad l(y) - sum grad l(y')).

What is ours: with BPR's loss a label is "the user likes i more than j", 1 for a pair of the
user, and others' opinion y' is the share of i among their pairs with i or j. The small system
is solved by damped conjugate gradients and ``solution`` tells the residual. CRAGRU's port
computes y' and does not use it, and adds an undivided step that clipping decides.

By the method itself the items keep what they learned from the deleted.
"""

from __future__ import annotations

import numpy as np

from benchmarks.unlearning.backbones import LEARNED
from benchmarks.unlearning.edited import Edited
from benchmarks.unlearning.influence import Solution, Table, fixed_triples, solve
from benchmarks.unlearning.protocol import Floats, Interactions, Method

_NEGATIVES = 8


class Scif(Edited):
    """``setting``: ``damping``.

    ``solution`` is the last one, with the residual of its linear system.
    """

    name = "scif"
    why_in_weights = "yes: the items' rows keep what they learned from it"
    solution: Solution

    def edit(self, table: Floats, *, gone: Interactions, left: Interactions) -> Floats:
        """Return the table with the users' rows moved."""
        moves = np.concatenate([gone.lengths > 0, np.zeros(gone.n_items, dtype=bool)])
        moving = moves.astype(np.float32)[:, None]
        users = self.left.of_users(np.flatnonzero(gone.lengths))
        own = fixed_triples(users, each=_NEGATIVES, seed=self._setup.seed)
        product = self.objective(own, graph=self.left, each=_NEGATIVES).curvature(table)

        def within(step: Table) -> Table:
            return moving * product(moving * step)

        deleted = own.where(np.isin(own.users * gone.n_items + own.liked, gone.keys))
        liked, other = left.degrees[deleted.liked], left.degrees[deleted.other]
        others_think = (liked + 1) / (liked + other + 2)
        changed = self.objective(deleted, graph=self.left, each=_NEGATIVES)
        target = moving * changed.pull(others_think - 1, table)
        damping = float(self._setup.setting["damping"])
        self.solution = solve(within, target, damping=damping)
        return table + self.solution.step


METHODS = (
    Method(
        name="scif",
        backbones=LEARNED,
        make=Scif,
        grid=tuple({"damping": damping} for damping in (10.0, 1.0, 100.0, 0.1)),
        note="Li Y. et al. 2023; users' rows only, labels replaced by others' opinion.",
    ),
)
