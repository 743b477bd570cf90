"""RRL: unlearn by BPR's loss turned round, held back where others depend on a weight.

Source: You et al., "RRL: Recommendation Reverse Learning", AAAI 2024. For a deleted pair the
user shall no longer prefer its item to others: the loss is BPR's with the two items exchanged,
weighed by the item's rank, so that it ends once the item is where unseen ones are. A penalty
sum_j F_j (theta_j - theta^_j)^2 with the Fisher information of the pairs that are left keeps
what others depend on.

The penalty decides all: with ``hold`` 0.1, nine forgotten users take ML-100K's validation
NDCG@10 from .241 to .130, with 10 to .240. So 10 comes first in the grid.

Decided where the paper's text was not at hand: the weight of a rank is 1 at the top, falling to
0 at the middle of the list; Adam, 50 steps, 4 negatives a pair. Matrix factorisation only.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch

from benchmarks.unlearning.edited import Edited
from benchmarks.unlearning.influence import Objective, Table, Triples, fixed_triples, sigmoid
from benchmarks.unlearning.protocol import Floats, Interactions, Method

_STEPS = 50
_NEGATIVES = 4


class Rrl(Edited):
    """``setting``: ``rate`` (Adam's), ``hold`` (weight of the penalty)."""

    name = "rrl"
    why_in_weights = "yes: pushed back in scores, not taken out; neighbours keep its trace"

    def edit(self, table: Floats, *, gone: Interactions, left: Interactions) -> Floats:
        """Return the table after reversed steps."""
        every = fixed_triples(self.left, each=_NEGATIVES, seed=self._setup.seed)
        deleted = np.isin(every.users * gone.n_items + every.liked, gone.keys)
        reverse = every.where(deleted)
        objective = self.objective(reverse, graph=self.left, each=_NEGATIVES)
        kept = fixed_triples(left, each=1, seed=self._setup.seed)
        fisher = fisher_information(kept, table, n_users=gone.n_users)
        moving = torch.nn.Parameter(torch.from_numpy(table.copy()))
        optimiser = torch.optim.Adam([moving], lr=float(self._setup.setting["rate"]))
        hold = float(self._setup.setting["hold"])
        for _ in range(_STEPS):
            now = moving.detach().numpy()
            slope = _reversed_gradient(objective, reverse, now, n_users=gone.n_users)
            slope += 2 * hold * fisher * (now - table)
            moving.grad = torch.from_numpy(slope.astype(np.float32))
            optimiser.step()
        edited: Floats = moving.detach().numpy()
        return edited


def _reversed_gradient(
    objective: Objective, reverse: Triples, table: Table, *, n_users: int
) -> Table:
    users, items = table[:n_users], table[n_users:]
    who, place = np.unique(reverse.users, return_inverse=True)
    scores = users[who] @ items.T
    ranks = np.empty(scores.shape, dtype=np.int64)
    np.put_along_axis(ranks, np.argsort(-scores, axis=1), np.arange(scores.shape[1])[None], axis=1)
    weight = np.maximum(0, 1 - ranks[place, reverse.liked] / (scores.shape[1] / 2))
    return objective.pull(weight * sigmoid(objective.margins(table)), table)


def fisher_information(triples: Triples, table: Table, *, n_users: int) -> Table:
    """Return the sum over triples of squared gradients of BPR's loss, shape of the table."""
    users, items = table[:n_users], table[n_users:]
    gap = items[triples.liked] - items[triples.other]
    own = users[triples.users]
    slope = sigmoid(-np.einsum("td,td->t", own, gap))[:, None] ** 2
    rows = np.stack([triples.users, n_users + triples.liked, n_users + triples.other])
    count = len(triples.users)
    found = np.zeros(table.shape)
    for row, squares in zip(rows, (gap**2, own**2, own**2), strict=True):
        places = (np.ones(count), (row, np.arange(count)))
        found += scipy.sparse.csr_matrix(places, shape=(len(table), count)) @ (slope * squares)
    return found


METHODS = (
    Method(
        name="rrl",
        backbones=("bpr",),
        make=Rrl,
        grid=tuple(
            {"rate": rate, "hold": hold} for hold in (10.0, 1.0, 0.1) for rate in (0.01, 0.03)
        ),
        note="You et al. 2024; reversed BPR with a Fisher-weighted penalty.",
    ),
)
