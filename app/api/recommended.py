"""The shapes of recommendations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, Self

from pydantic import BaseModel, Field

from app.api.schemas import Count
from app.domain.models import Item, Kind
from app.domain.recommendation.prompt import ShownMemory
from app.domain.recommendation.reasons import CitedReason
from app.services.recommendation.answer import Recommendation, RecommendedItem, Source

RECOMMENDATION_ID: Final = (
    "Names this list to `POST /interactions`, so that what somebody does with an item of it can be "
    "counted as an answer; for 30 days. Nothing is kept of a list that is not answered."
)


class ItemRef(BaseModel):
    """An item by id and title."""

    item_id: str = Field(description="The caller's id of the item.")
    title: str = Field(description="Its title.")

    @classmethod
    def of(cls, item: Item) -> Self:
        return cls(item_id=item.item_id, title=item.title)


class CitedOut(BaseModel):
    """A memory that a reason rests on; one without an item is a free-text memory."""

    kind: Kind = Field(description="What the user did.")
    item_id: str | None = Field(description="Item it is about; null for a free-text memory.")
    title: str | None = Field(description="Title of that item.")

    @classmethod
    def of(cls, memory: ShownMemory) -> Self:
        item = memory.item
        return cls(
            kind=memory.kind,
            item_id=item.item_id if item else None,
            title=item.title if item else None,
        )


class ReasonOut(BaseModel):
    """A sentence of the LLM's or from the catalogue, and the memories it rests on."""

    text: str = Field(description="The sentence.")
    cites: list[CitedOut] = Field(description="Memories it rests on, at least one.")

    @classmethod
    def of(cls, reason: CitedReason) -> Self:
        return cls(text=reason.text, cites=[CitedOut.of(memory) for memory in reason.cites])


class RecommendedItemOut(ItemRef):
    """A recommended item: ``score`` in (0, 1], ``because`` the memories that speak for it.

    ``reason`` is null unless ``explain`` was asked for and something is shared.
    """

    score: float = Field(ge=0, le=1, description="Larger is better; above 0, at most 1.")
    because: list[ItemRef] = Field(description="Items of the user that speak for it.")
    reason: ReasonOut | None = Field(description="Why, where that was asked for and can be told.")
    source: Source = Field(description="What speaks most for it; `fill`: only that it is there.")
    fields: dict[str, object] | None = Field(
        description="What was asked for by `fields`, as far as the item has it; else null."
    )

    @classmethod
    def from_domain(cls, one: RecommendedItem, *, fields: Sequence[str] = ()) -> Self:
        return cls(
            item_id=one.item.item_id,
            title=one.item.title,
            score=one.score,
            because=[ItemRef.of(item) for item in one.because],
            reason=ReasonOut.of(one.reason) if one.reason else None,
            source=one.source,
            fields=dict(_told(one.item, fields)) if fields else None,
        )


def _told(item: Item, fields: Sequence[str]) -> Iterator[tuple[str, object]]:
    for name in fields:
        attribute = name.removeprefix("attributes.")
        if name == "attributes":
            yield name, dict(item.attributes)
        elif name == "title":
            yield name, item.title
        elif name == "description":
            yield name, item.description
        elif attribute in item.attributes:
            yield name, item.attributes[attribute]


class RecommendationOut(BaseModel):
    """A recommendation.

    ``prompt_id`` names the wording that the LLM ranked under: language, version, first digits of
    the template's SHA-256. It is null where no LLM ranked.
    """

    user: str | None = Field(description="The caller's id of the user; null for a visitor.")
    items: list[RecommendedItemOut] = Field(description="Best first.")
    ranked_by: Literal["llm", "retrieval", "popularity"] = Field(description="What made the order.")
    regime: Literal["query", "history", "stranger"] = Field(
        description="What the answer rests on: what the user asks, what they did, or neither."
    )
    form: Literal["label", "json", "likelihood"] | None = Field(
        description="How the LLM was asked; null where it did not rank."
    )
    personalised: bool = Field(description="Whether it rests on the user's memory.")
    degraded: bool = Field(description="Whether the LLM was to take part and could not.")
    epoch: Count = Field(description="Erasures of this user that the answer knows of; a count.")
    prompt_id: str | None = Field(description="Wording the LLM ranked under; null without one.")
    matched: Count = Field(description="Items that pass `where` and may be listed; a count.")
    emptied_by: str | None = Field(
        description="Of an empty list, the condition that removed the last item, such as "
        "`where.price.$lt`, `available`, `exclude` or `seen`; else null."
    )
    unknown_items: list[str] = Field(description="Ids in the request that no item has.")
    cursor: str | None = Field(description="Asks for the next page; null where there is none.")
    recommendation_id: str = Field(description=RECOMMENDATION_ID)
    timings_ms: dict[str, float] = Field(description="Milliseconds each part took.")

    @classmethod
    def from_domain(
        cls, answer: Recommendation, *, user: str | None, fields: Sequence[str] = ()
    ) -> Self:
        made = answer.provenance
        return cls(
            user=user,
            items=[RecommendedItemOut.from_domain(one, fields=fields) for one in answer.items],
            ranked_by=made.ranked_by.value,
            regime=made.regime.value,
            form=made.form.value if made.form else None,
            personalised=answer.is_personalised,
            degraded=made.is_degraded,
            epoch=answer.epoch,
            prompt_id=made.prompt_id,
            matched=answer.matched,
            emptied_by=answer.emptied_by,
            unknown_items=list(answer.unknown_items),
            cursor=answer.cursor,
            recommendation_id=answer.recommendation_id,
            timings_ms=answer.timings_ms,
        )
