"""Whether a model reads what it is shown: two shuffles of one list must give one order of items.

A model that cannot read answers the letter and not the item: of a small one 98 % of the variance
of its scores was the letter's. No label tells which order is right, and none is needed: if the
letter decides, or the same items are ordered differently when they are shown in another order,
the answer says nothing of the items. Made from the catalogue alone, never from users.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from heapq import nsmallest
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from app.domain.errors import DependencyUnavailableError, RankerError
from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.prompt import ShownMemory, shown_order
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.ports.ranker import Ranker, RankingTask

N_LISTS: Final = 4
N_CANDIDATES: Final = 16
N_LIKED: Final = 4
LETTER_MOST: Final = 0.5
"""Share of the variance of scores above which the letter decides; by chance it is 1/8."""
AGREEMENT_LEAST: Final = 0.3
"""Mean rank correlation of two shuffles; by chance it is 0 with a standard error of 0.13."""
_SALT: Final = "0" * 64
"""Of prompts that are about nobody."""
_TIMEOUT_S: Final = 60.0
_log = structlog.get_logger(__name__)
Floats = NDArray[np.float64]


class Reading(StrEnum):
    """What is known of a model."""

    UNKNOWN = "unknown"
    """It has not been looked at: no server is ready, or the catalogue is too small."""
    READS = "reads"
    LETTER_DECIDES = "letter_decides"
    ORDERS_DIFFER = "orders_differ"
    UNCHECKED = "unchecked"
    """Nobody wants to know."""


class ReadingCheck:
    """Looks at the model once it is ready, and again whenever a server was warmed up anew.

    Args:
        uows: where the catalogue is.
        ranker: the model; None without one.
        is_wanted: False takes every model as it is.
    """

    def __init__(self, *, uows: UnitsOfWork, ranker: Ranker | None, is_wanted: bool) -> None:
        self._uows = uows
        self.ranker = ranker
        self._looked_after = 0
        self.reading = Reading.UNKNOWN if is_wanted else Reading.UNCHECKED

    @property
    def is_passed(self) -> bool:
        """Whether the model may order a list."""
        return self.reading in {Reading.READS, Reading.UNCHECKED}

    def refresh(self) -> None:
        """Rank some lists of the catalogue in two shuffles, where that is due; raise nothing.

        What is found is in ``reading``, and in one line of the log.
        """
        if self.ranker is None or self.reading is Reading.UNCHECKED:
            return
        health = self.ranker.health()
        if health.status != "ready" or health.warm_ups == self._looked_after:
            return
        try:
            tasks = self._tasks()
            views = [_placed(one, self.ranker.rank(one).log_probabilities) for one in tasks]
        except (DependencyUnavailableError, RankerError) as error:
            _log.warning("llm_reading_unknown", code=error.code)
            return
        if not views:
            return
        self._looked_after = health.warm_ups
        self.reading, facts = judged(views)
        say = _log.info if self.reading is Reading.READS else _log.warning
        say("llm_reading", verdict=self.reading.value, **facts)

    def _tasks(self) -> list[RankingTask]:
        """Return each list under two seeds, one behind the other; none from a small catalogue."""
        each = N_LIKED + N_CANDIDATES
        with self._uows.read() as uow:
            items = nsmallest(N_LISTS * each, uow.items.all_items(), key=_place)
        if len(items) < N_LISTS * each:
            return []
        return [
            RankingTask(
                memories=[ShownMemory(Kind.LIKE, one) for one in items[start : start + N_LIKED]],
                candidates=items[start + N_LIKED : start + each],
                cache_salt=_SALT,
                seed=seed,
                timeout_s=_TIMEOUT_S,
            )
            for start in range(0, len(items), each)
            for seed in (1, 2)
        ]


def judged(views: Sequence[dict[ItemId, float]]) -> tuple[Reading, dict[str, float]]:
    """Return what the scores say of the model, with the two figures that it rests on.

    Args:
        views: pairs of shuffles of one list, one behind the other; the scores of its items, in
            the order in which they were shown.
    """
    by_place = np.stack([_standard(np.array(list(view.values()))) for view in views])
    letter_share = float((by_place.mean(axis=0) ** 2).mean())
    agreements = [
        float((_ranks(one) * _ranks({item_id: other[item_id] for item_id in one})).mean())
        for one, other in zip(views[::2], views[1::2], strict=True)
    ]
    agreement = float(np.mean(agreements))
    facts = {"letter_share": round(letter_share, 3), "agreement": round(agreement, 3)}
    if letter_share > LETTER_MOST:
        return Reading.LETTER_DECIDES, facts
    return (Reading.READS if agreement >= AGREEMENT_LEAST else Reading.ORDERS_DIFFER), facts


def _placed(task: RankingTask, scores: dict[ItemId, float]) -> dict[ItemId, float]:
    shown = shown_order(task.candidates, seed=task.seed)
    return {item.item_id: scores[item.item_id] for item in shown}


def _ranks(view: dict[ItemId, float]) -> Floats:
    """Return standardised ranks, equal ones for equal scores; of equal scores alone, zeros."""
    values = np.array(list(view.values()))
    return _standard(np.sign(values[:, None] - values).sum(axis=1))


def _standard(values: Floats) -> Floats:
    deviation = float(values.std())
    return np.asarray((values - values.mean()) / (deviation or 1.0), dtype=np.float64)


def _place(item: Item) -> bytes:
    return hashlib.sha256(item.item_id.encode()).digest()
