"""AltEraser: go on from the trained model with what is left, by Newton, one side at a time.

Source: Liu et al., "Forgetting Fast in Recommender Systems", arXiv 2208.06875. With the items
held, the loss falls into one small problem a user, and with the users held into one an item;
each is solved by Newton's method, in turns, on the pairs that are left. Here all problems of a
side are solved at once, by damped conjugate gradients on their block-diagonal Hessian.

Matrix factorisation only: LightGCN's propagation joins the blocks. Decided where the paper is
silent: ``_NEGATIVES`` fixed negatives a pair, and the damping, for without it Newton runs to the
minimum of the penalised loss, which training stopped short of on purpose.
"""

from __future__ import annotations

import numpy as np

from benchmarks.unlearning.edited import Edited
from benchmarks.unlearning.influence import Objective, Solution, Table, fixed_triples, solve
from benchmarks.unlearning.protocol import Floats, Interactions, Method

_NEGATIVES = 2


class AltEraser(Edited):
    """``setting``: ``damping``, ``rounds``.

    ``solutions`` are those of the last request, with the residuals of their systems.
    """

    name = "alteraser"
    why_in_weights = "yes: training goes on from weights that saw it; fades, without a bound"
    solutions: list[Solution]

    def edit(self, table: Floats, *, gone: Interactions, left: Interactions) -> Floats:
        """Return the table after some rounds of users, then items."""
        triples = fixed_triples(left, each=_NEGATIVES, seed=self._setup.seed)
        objective = self.objective(triples, graph=left, each=_NEGATIVES)
        of_users = np.zeros((len(table), 1), dtype=np.float32)
        of_users[: gone.n_users] = 1
        self.solutions = []
        for _ in range(int(self._setup.setting["rounds"])):
            for moves in (of_users, 1 - of_users):
                self.solutions.append(self._newton(objective, table, moves=moves))
                table = table + self.solutions[-1].step
        return table

    def _newton(self, objective: Objective, table: Table, *, moves: Table) -> Solution:
        product = objective.curvature(table)
        return solve(
            lambda step: moves * product(moves * step),
            -moves * objective.gradient(table),
            damping=float(self._setup.setting["damping"]),
            tolerance=0.05,
            iterations=30,
        )


METHODS = (
    Method(
        name="alteraser",
        backbones=("bpr",),
        make=AltEraser,
        grid=tuple(
            {"damping": damping, "rounds": rounds}
            for rounds in (1, 2)
            for damping in (10.0, 100.0, 1000.0)
        ),
        note="Liu et al. 2022; alternating Newton from the trained model, on what is left.",
    ),
)
