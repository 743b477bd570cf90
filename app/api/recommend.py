"""``GET /recommend/{user}``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from app.api.auth import ServiceOrUser
from app.api.bodies import BodyRoute
from app.api.recommended import RecommendationOut
from app.api.state import StateDep, require_restored
from app.domain.models import ItemId
from app.domain.recommendation.memory_selection import Strategy
from app.services.recommendation.query import RecommendQuery
from app.wire.schemas import In, ItemIdIn, UserId

router = APIRouter(
    tags=["recommend"], dependencies=[Depends(require_restored)], route_class=BodyRoute
)


async def _departing() -> AsyncIterator[ExitStack]:
    """Give what is closed once the answer has been sent, or its caller has gone."""
    with ExitStack() as stack:
        yield stack


_Departing = Annotated[ExitStack, Depends(_departing, scope="request")]


class RecommendIn(In):
    """What is asked for."""

    n: int = Field(default=10, ge=1, le=100, description="Items; 1 to 100.")
    strategy: Strategy = Field(
        default=Strategy.ATTENTION, description="Which memories the LLM is shown."
    )
    exclude: Annotated[list[ItemIdIn], Field(max_length=500)] | None = Field(
        default=None, description="Items not to recommend, up to 500; may be repeated."
    )
    personalise: bool = Field(default=True, description="False: the list of a stranger.")
    explain: bool = Field(default=False, description="Have the LLM write reasons; takes seconds.")


@router.get("/recommend/{user}")
def recommend(
    user: Annotated[UserId, Path()],
    caller: ServiceOrUser,
    state: StateDep,
    departing: _Departing,
    asked: Annotated[RecommendIn, Query()],
) -> RecommendationOut:
    """Recommend items from the user's own memory.

    Someone unknown, erased, restricted or objecting gets the list of a stranger. `exclude` may
    be repeated; `strategy` says which memories are shown to the LLM. `explain` has it write a
    reason for the first items, in a second call that changes no order and may take seconds; where
    it cannot, reasons are null and the answer is degraded.
    """
    caller.require_user(user)
    answer = state.container.recommend.recommend(
        RecommendQuery(
            pseudonym=state.container.identity.pseudonym(user),
            n=asked.n,
            strategy=asked.strategy,
            exclude=frozenset(ItemId(item_id) for item_id in asked.exclude or ()),
            personalise=asked.personalise,
            explain=asked.explain,
        ),
        departing=departing,
    )
    state.metrics.recommendation(
        ranked_by=answer.ranked_by,
        is_personalised=answer.is_personalised,
        is_degraded=answer.is_degraded,
    )
    return RecommendationOut.from_domain(answer, user=user)
