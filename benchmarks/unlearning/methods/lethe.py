"""Lethe: the service's own neighbours, integer counts that are decremented and EASE on them.

Two rows. ``lethe``: a request is done when no answer rests on what was forgotten, which is
the removal from the counts and the first answer of the downdated model; the model in memory
still has it until the next refresh, and ``exposed`` says so. ``lethe_settled``: the refresh
is waited for, so nothing in memory has it.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from app.adapters.neighbours import ExactNeighbours
from app.domain.models import ItemId, Pseudonym, Scored
from benchmarks.data import Ints
from benchmarks.unlearning.lists import DEPTH
from benchmarks.unlearning.protocol import PAIR_BYTES, Floats, Interactions, Method, Setup

_MAX_REMOVALS: Final = 128
_NOTHING: Final = np.empty(0, dtype=np.int64)


class Lethe:
    """The neighbours of ``app.adapters``, asked through their port as the service does.

    As the service's worker does, the model is refreshed before it has had more removals than a
    downdate takes; whichever request comes then pays for it here.

    Args:
        setup: ``setting`` holds ``regularisation``; the backbone is EASE.
        settles: whether a request waits for the refresh.
    """

    def __init__(self, setup: Setup, *, settles: bool) -> None:
        self.name = "lethe_settled" if settles else "lethe"
        self._setup = setup
        self._settles = settles

    def __deepcopy__(self, memo: dict[int, object]) -> Lethe:
        """Return one that was fitted on the same pairs: locks cannot be copied."""
        copy = Lethe(self._setup, settles=self._settles)
        copy.fit(Interactions.of(self._left, n_items=self._n_items))
        return copy

    def fit(self, train: Interactions) -> None:
        """Build the counts and the model."""
        self._n_items = train.n_items
        self._left = list(train.histories)
        self._never = self._setup.valid.histories
        self._held: dict[int, Ints] = {}
        self._removals: set[int] = set()
        self._neighbours = ExactNeighbours(
            regularisation=float(self._setup.backbone_setting["regularisation"]),
            max_removals=_MAX_REMOVALS,
        )
        names = map(_pseudonym, range(train.n_users))
        self._neighbours.build(zip(names, map(_named, train.histories), strict=True))

    def forget(self, gone: Interactions) -> None:
        """Set the users' items to what is left, and answer once, or refresh."""
        lost = np.split(gone.items, np.flatnonzero(np.diff(gone.users)) + 1)
        users = np.unique(gone.users).tolist()
        for user, items in zip(users, lost, strict=True):
            self._left[user] = np.setdiff1d(self._left[user], items, assume_unique=True)
        self._neighbours.apply({_pseudonym(user): _named(self._left[user]) for user in users})
        self._removals.update(users)
        if self._settles or len(self._removals) > _MAX_REMOVALS:
            self._neighbours.refresh()
            self._removals.clear()
        else:
            popular = [scored.item_id for scored in self._neighbours.popular(top_n=1)]
            self._neighbours.recommend(popular, top_n=1)
        for user, items in zip(users, lost, strict=True):
            self._held[user] = np.union1d(self._held.get(user, items), items)
        if self._neighbours.is_settled():
            self._held.clear()

    def scores(self, users: Ints) -> Floats:
        """Return scores of the ``DEPTH`` best items that are new; the others get -inf."""
        return self._asked(users, depth=DEPTH)

    def exposed(self, users: Ints) -> Floats:
        """Return scores of all items; whoever looks finds the pairs that are still in memory.

        Those are the history, and what was forgotten while it waits for the refresh.
        """
        scores = self._asked(users, depth=self._n_items)
        for row, user in enumerate(users.tolist()):
            scores[row, self._held.get(user, _NOTHING)] = np.inf
            scores[row, self._left[user]] = np.inf
        return scores

    def _asked(self, users: Ints, *, depth: int) -> Floats:
        scores = np.full((len(users), self._n_items), -np.inf, dtype=np.float32)
        for row, user in enumerate(users.tolist()):
            history = _named(self._left[user])
            never = len(self._never[user]) if user < len(self._never) else 0
            ask = partial(self._neighbours.recommend, history) if history else self._popular
            for scored in ask(top_n=depth + never):
                scores[row, int(scored.item_id)] = scored.score
        return scores

    def _popular(self, *, top_n: int) -> list[Scored]:
        return self._neighbours.popular(top_n=top_n)

    def state_bytes(self) -> int:
        """Return counts of item pairs (4 bytes), the model (12 bytes a cell), postings twice."""
        items = np.concatenate(self._left)
        return (4 + 12) * len(np.unique(items)) ** 2 + 2 * PAIR_BYTES * len(items)

    def personal_data_in_weights(self) -> str:
        """Say whether the model still has what was forgotten."""
        if self._neighbours.is_settled():
            return "no: the model is computed from counts without it"
        return "yes: the model in memory, until the refresh; no answer rests on it"


def _pseudonym(user: int) -> Pseudonym:
    return Pseudonym(f"{user:064x}")


def _named(items: Ints) -> list[ItemId]:
    return [ItemId(f"{item:05d}") for item in items.tolist()]


METHODS = (
    Method(
        name="lethe",
        backbones=("ease",),
        make=partial(Lethe, settles=False),
        reference="",
        note="The service's own neighbours; done when no answer rests on what was forgotten.",
    ),
    Method(
        name="lethe_settled",
        backbones=("ease",),
        make=partial(Lethe, settles=True),
        reference="",
        note="The same; done when nothing in memory has it either.",
    ),
)
