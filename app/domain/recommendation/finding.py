"""What a calibration finds. Apart from how, which imports numpy: commands show it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Situation(StrEnum):
    """What a list rests on."""

    HISTORY = "history"
    """What the user did."""
    NEW_ITEMS = "new_items"
    """What the user did, and all items are such as nobody has met."""
    QUERY = "query"
    """What the user asks for in words."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a form is worth in a situation, in NDCG@10.

    Args:
        form: how the model was asked; None where there was no case, or no answer in time.
        cases: lists that were judged.
        failed: lists of which the model gave no order, however often it was asked.
        late: lists of which it gave one only when it was asked again; served, they would have come
            without the model.
        without: mean without the model.
        alone: mean in the model's order alone.
        weight: with the best mean over all cases, one of ``calibration.WEIGHTS``.
        gain: mean, and the ends of its 95 % interval by bootstrap, of what the blend adds; each
            half of the cases at the weight that is best for the other half, so that a choice among
            weights is no gain.
    """

    situation: Situation
    form: str | None
    cases: int = 0
    failed: int = 0
    late: int = 0
    without: float = 0.0
    alone: float = 0.0
    weight: float = 0.0
    gain: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def pays(self) -> bool:
        """Whether it helps, beyond chance."""
        return self.gain[1] > 0
