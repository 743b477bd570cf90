"""``GET /items/{item_id}/similar``, ``GET /popular`` and ``GET /latest``: lists of nobody's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from app.api.auth import ReaderOrUser
from app.api.bodies import BodyRoute
from app.api.errors import declared
from app.api.recommend_in import ExcludeParameter, NumberParameter, WhereParameter, where_of
from app.api.recommended import RECOMMENDATION_ID, ItemRef
from app.api.schemas import Count
from app.api.state import StateDep, require_restored
from app.domain.models import ItemId
from app.services.recommendation.lists import Likeness, Listed
from app.wire.ids import ItemIdIn

router = APIRouter(
    tags=["recommend"], dependencies=[Depends(require_restored)], route_class=BodyRoute
)


class ItemListOut(BaseModel):
    """A list of items."""

    items: list[ItemRef] = Field(description="Best first.")
    matched: Count = Field(description="Items that pass `where` and may be listed; a count.")
    recommendation_id: str = Field(description=RECOMMENDATION_ID)

    @classmethod
    def of(cls, listed: Listed) -> ItemListOut:
        return cls(
            items=[ItemRef.of(item) for item in listed.items],
            matched=listed.matched,
            recommendation_id=listed.recommendation_id,
        )


@router.get("/items/{item_id:path}/similar", responses=declared(404))
def similar_items(
    item_id: Annotated[ItemIdIn, Path()],
    _caller: ReaderOrUser,
    state: StateDep,
    *,
    by: Annotated[Likeness, Query(description="By what.")] = Likeness.BOTH,
    where: WhereParameter = None,
    exclude: ExcludeParameter = None,
    n: NumberParameter = 10,
) -> ItemListOut:
    """List items that are like one: the same people have taken to them, or they say the same."""
    listed = state.container.lists.similar(
        ItemId(item_id), by=by, where=where_of(where), exclude=_ids(exclude), n=n
    )
    return ItemListOut.of(listed)


@router.get("/popular")
def popular_items(
    _caller: ReaderOrUser,
    state: StateDep,
    *,
    period: Annotated[
        str | None,
        Query(
            pattern="^[1-9][0-9]{0,3}[dh]$",
            description="Count only what occurred in these last days or hours, such as `30d`.",
        ),
    ] = None,
    where: WhereParameter = None,
    exclude: ExcludeParameter = None,
    n: NumberParameter = 10,
) -> ItemListOut:
    """List the items that most people have taken to."""
    listed = state.container.lists.popular(
        period=_duration(period), where=where_of(where), exclude=_ids(exclude), n=n
    )
    return ItemListOut.of(listed)


@router.get("/latest")
def latest_items(
    _caller: ReaderOrUser,
    state: StateDep,
    *,
    where: WhereParameter = None,
    exclude: ExcludeParameter = None,
    n: NumberParameter = 10,
) -> ItemListOut:
    """List the items that were added or changed last."""
    listed = state.container.lists.latest(where=where_of(where), exclude=_ids(exclude), n=n)
    return ItemListOut.of(listed)


def _ids(item_ids: Sequence[str] | None) -> frozenset[ItemId]:
    return frozenset(ItemId(one) for one in item_ids or ())


def _duration(period: str | None) -> timedelta | None:
    if period is None:
        return None
    amount = int(period[:-1])
    return timedelta(days=amount) if period.endswith("d") else timedelta(hours=amount)
