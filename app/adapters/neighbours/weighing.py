"""How much a user's pairs count, and how much an item is held back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.lists import Ints

UNIT: Final = 32
"""Weights of users are integers in this unit: sums of them do not depend on their order."""
_USUAL_LENGTH: Final = 100
"""Items of a user whose pairs count once."""


@dataclass(frozen=True, slots=True)
class Weighing:
    """The two statistics by which EASE is more than EASE (docs/decisions/0009).

    Graded, a user with n items counts sqrt(100 / n) times, so that a few long lists do not
    decide for everybody, and an item that d users have is held back by lambda sqrt(2)^b, b
    the number of binary digits of d. Both are functions of integers that a removal restores:
    n is the user's own, and b rarely changes with d.

    Args:
        regularisation: lambda > 0, in interactions.
        is_graded: False for EASE as published: every user counts once, every item alike.
    """

    regularisation: float
    is_graded: bool

    def of_user(self, length: int) -> int:
        """Return what a pair of a user with ``length`` >= 1 items counts, in ``UNIT``."""
        if not self.is_graded:
            return UNIT
        return math.isqrt(UNIT * UNIT * _USUAL_LENGTH // length)

    def ridge(self, degrees: Ints) -> NDArray[np.float64]:
        """Return what is added on the diagonal for items that so many users have."""
        if not self.is_graded:
            return np.full(len(degrees), self.regularisation)
        _, digits = np.frexp(degrees.astype(np.float64))
        return self.regularisation * np.sqrt(np.ldexp(1.0, digits))
