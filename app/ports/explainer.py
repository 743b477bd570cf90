"""The LLM that says why an item is recommended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.domain.models import Item, ItemId
from app.domain.recommendation.prompt import ShownMemory


@dataclass(frozen=True, slots=True)
class ExplainTask:
    """What the LLM is asked.

    Args:
        memories: what the reasons may rest on, at least one.
        items: those to be explained, at least one.
        cache_salt: 64 hex digits; prompts of two salts never share a prefix-cache block.
        timeout_s: total seconds the caller will wait, > 0.
    """

    memories: Sequence[ShownMemory]
    items: Sequence[Item]
    cache_salt: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Reason:
    """A sentence about an item.

    Args:
        text: one short line.
        cites: places in the task's memories that it rests on, at least one, ascending.
    """

    text: str
    cites: Sequence[int]


class Explainer(Protocol):
    """Writes reasons with a frozen LLM."""

    def explain(self, task: ExplainTask) -> dict[ItemId, Reason]:
        """Return a reason for some of the items; one that rests on no memory is left out.

        Raises:
            DependencyUnavailableError: no answer in time.
            RankerError: an answer from which no reasons can be read.
        """
