"""The backbones that are a formula of the pairs: popularity, item-kNN, EASE.

One implementation with the quality benchmark: ``benchmarks.quality.models``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import Ints
from benchmarks.quality import models
from benchmarks.quality.metrics import Scorer
from benchmarks.unlearning.protocol import Floats, Interactions, Setting

Formula = Callable[[NDArray[np.float32]], Scorer]


class Closed:
    """A formula; the same pairs give the same scores, whatever the seed.

    Args:
        formula: from the matrix of users and items to a scorer.
        floats_by_pair_of_items: numbers that are kept for two items, and 0 if only for one.
    """

    def __init__(self, formula: Formula, *, floats_by_pair_of_items: int) -> None:
        self._formula = formula
        self._floats = floats_by_pair_of_items

    def fit(self, train: Interactions, *, valid: Interactions) -> None:  # noqa: ARG002 - nothing to stop
        """Compute the formula."""
        self._scorer = self._formula(models.matrix(train.histories, n_items=train.n_items))
        self._popular = train.degrees.astype(np.float32)
        self._known = train.lengths > 0

    def scores(self, users: Ints) -> Floats:
        """Return the formula's scores, and popularity for those without a pair."""
        scores = self._scorer(users).astype(np.float32)
        scores[~self._known[users]] = self._popular
        return scores

    def exposed(self, users: Ints) -> Floats:
        """Return ``scores``: nothing is kept by user but the pairs."""
        return self.scores(users)

    def state_bytes(self) -> int:
        """Return the size of the item weights, 8 bytes each."""
        n_items = len(self._popular)
        return 8 * self._floats * n_items**2 if self._floats else 8 * n_items


def closed(name: str, setting: Setting) -> Closed:
    """Return ``popularity``, ``item_knn`` or ``ease``."""
    formula, floats = _FORMULAS[name]
    return Closed(partial(formula, **setting), floats_by_pair_of_items=floats)


_FORMULAS: Final[dict[str, tuple[Callable[..., Scorer], int]]] = {
    "popularity": (models.popularity, 0),
    "item_knn": (models.item_knn, 1),
    "ease": (models.ease, 1),
}
