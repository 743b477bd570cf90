"""The shapes of recommendations."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel

from app.domain.models import Item, Kind
from app.domain.prompt import ShownMemory
from app.domain.reasons import CitedReason
from app.services.personalise import Recommended
from app.services.recommend import Recommendation


class ItemRef(BaseModel):
    """An item by id and title."""

    item_id: str
    title: str

    @classmethod
    def of(cls, item: Item) -> Self:
        """Return the reference to ``item``."""
        return cls(item_id=item.item_id, title=item.title)


class CitedOut(BaseModel):
    """A memory that a reason rests on; one without an item is a free-text memory."""

    kind: Kind
    item_id: str | None
    title: str | None

    @classmethod
    def of(cls, memory: ShownMemory) -> Self:
        """Return the wire form."""
        item = memory.item
        return cls(
            kind=memory.kind,
            item_id=item.item_id if item else None,
            title=item.title if item else None,
        )


class ReasonOut(BaseModel):
    """A sentence of the LLM's, and the memories it rests on, at least one."""

    text: str
    cites: list[CitedOut]

    @classmethod
    def of(cls, reason: CitedReason) -> Self:
        """Return the wire form."""
        return cls(text=reason.text, cites=[CitedOut.of(memory) for memory in reason.cites])


class RecommendedOut(ItemRef):
    """A recommended item: ``score`` in (0, 1], ``because`` the memories that speak for it.

    ``reason`` is null unless ``explain`` was asked for and the LLM gave one.
    """

    score: float
    because: list[ItemRef]
    reason: ReasonOut | None

    @classmethod
    def from_domain(cls, one: Recommended) -> Self:
        """Return the wire form."""
        return cls(
            item_id=one.item.item_id,
            title=one.item.title,
            score=one.score,
            because=[ItemRef.of(item) for item in one.because],
            reason=ReasonOut.of(one.reason) if one.reason else None,
        )


class RecommendOut(BaseModel):
    """A recommendation.

    ``prompt_id`` names the wording that the LLM ranked under: language, version, first digits of
    the template's SHA-256. It is null where no LLM ranked.
    """

    user: str
    items: list[RecommendedOut]
    ranked_by: Literal["llm", "retrieval", "popularity"]
    personalised: bool
    degraded: bool
    epoch: int
    prompt_id: str | None
    timings_ms: dict[str, float]

    @classmethod
    def from_domain(cls, answer: Recommendation, *, user: str) -> Self:
        """Return the wire form."""
        return cls(
            user=user,
            items=[RecommendedOut.from_domain(one) for one in answer.items],
            ranked_by=answer.ranked_by.value,
            personalised=answer.is_personalised,
            degraded=answer.is_degraded,
            epoch=answer.epoch,
            prompt_id=answer.prompt_id,
            timings_ms=answer.timings_ms,
        )
