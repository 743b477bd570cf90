"""What is answered: one list, from the pipeline to its wire form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from app.domain.models import Item, ItemId
from app.domain.recommendation.prompt import ShownMemory
from app.domain.recommendation.reasons import CitedReason
from app.ports.clock import Clock
from app.services.recommendation.reranking import Provenance

STALL_MS: Final = 250.0
_OF_THE_MODEL: Final = frozenset({"ranking", "reasons"})


class Source(StrEnum):
    """What speaks most for an item of a list."""

    BEHAVIOUR = "behaviour"
    CONTENT = "content"
    POPULAR = "popular"
    PINNED = "pinned"
    FILL = "fill"
    """Nothing but that it is there."""


@dataclass(frozen=True, slots=True)
class RecommendedItem:
    """A recommended item and the remembered items that speak for it, strongest first.

    Args:
        score: in (0, 1], falling; a place in the list and no probability.
        reason: the LLM's sentence or one from the catalogue's facts, where that was asked for.
    """

    item: Item
    score: float
    source: Source
    because: Sequence[Item] = ()
    reason: CitedReason | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An answer.

    Args:
        provenance: what made the order, and whether a part did not answer.
        is_personalised: whether it rests on a user's memory.
        matched: items of the catalogue that are available and pass ``where``.
        emptied_by: of an empty list, what removed the last item: the path of a condition, such as
            ``where.price.$lt``, or ``available``, ``exclude``, ``seen``; else None.
        unknown_items: ids in the query that are not in the catalogue.
        shown: the memories that were chosen for the LLM, oldest first; none without one.
        epoch: the user's when the answer was made; 0 where it does not rest on one.
        cursor: asks for the next page; None where there is none.
        recommendation_id: names the list to interactions that answer it; another one each time.
        timings_ms: wall milliseconds by stage.
    """

    items: Sequence[RecommendedItem]
    provenance: Provenance
    is_personalised: bool
    matched: int
    emptied_by: str | None = None
    unknown_items: Sequence[ItemId] = ()
    shown: Sequence[ShownMemory] = ()
    epoch: int = 0
    cursor: str | None = None
    recommendation_id: str = ""
    timings_ms: dict[str, float] = field(default_factory=dict)

    def stalled(self) -> list[str]:
        """Return the parts that took so long that a store or this process stood still meanwhile.

        What belongs to no part, such as the turn and the change feed, is ``waiting``. The model's
        own parts have a time limit, and do not count.
        """
        parts = {part: ms for part, ms in self.timings_ms.items() if part != "total"}
        parts["waiting"] = self.timings_ms.get("total", 0.0) - sum(parts.values())
        return [part for part, ms in parts.items() if ms > STALL_MS and part not in _OF_THE_MODEL]


class Stopwatch:
    """Milliseconds by stage."""

    def __init__(self, clock: Clock) -> None:
        """Begin."""
        self._clock = clock
        self._last_s = clock.monotonic_s()
        self.laps_ms: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Note what a stage took that ends now."""
        now_s = self._clock.monotonic_s()
        self.laps_ms[name] = round(1_000 * (now_s - self._last_s), 3)
        self._last_s = now_s
