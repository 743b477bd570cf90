"""What a model's order is worth, from lists of which it is known what they should have."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.models import ItemId
from app.domain.recommendation.finding import Finding, Situation

AT: Final = 10
WEIGHTS: Final = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
"""Shares of the model's order that are tried."""
_DRAWS: Final = 2_000
Floats = NDArray[np.float64]


def finding(situation: Situation, form: str | None, judged: Floats, *, seed: int) -> Finding:
    """Return what a form is worth.

    Args:
        situation: of the cases.
        form: None without any.
        judged: NDCG@10 by case, without the model and at each weight, shape (cases, 1 + weights).
        seed: of the interval.
    """
    if len(judged) < 2:  # noqa: PLR2004 - two halves
        return Finding(situation, form, cases=len(judged))
    gains = judged[:, 1:] - judged[:, :1]
    halves = np.arange(len(judged)) % 2
    crossed = np.zeros(len(judged))
    for half in (0, 1):
        best = int(gains[halves != half].mean(axis=0).argmax())
        crossed[halves == half] = gains[halves == half, best]
    return Finding(
        situation,
        form,
        cases=len(judged),
        without=float(judged[:, 0].mean()),
        alone=float(judged[:, -1].mean()),
        weight=WEIGHTS[int(gains.mean(axis=0).argmax())],
        gain=interval(crossed, seed=seed),
    )


def ndcg(order: Sequence[ItemId], wanted: Collection[ItemId]) -> float:
    """Return NDCG@10, the ideal being over min(10, wanted items), at least one."""
    discounts = 1 / np.log2(np.arange(2, AT + 2))
    hits = [one in wanted for one in order[:AT]]
    return float(discounts[: len(hits)] @ hits / discounts[: len(wanted)].sum())


def interval(values: Floats, *, seed: int) -> tuple[float, float, float]:
    """Return the mean and the ends of its 95 % interval, by percentile bootstrap (Efron, 1979)."""
    rng = np.random.default_rng(seed)
    means = rng.choice(values, size=(_DRAWS, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(values.mean()), float(low), float(high)
