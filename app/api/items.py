"""``POST /items`` and ``PUT /items/{item_id}``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from app.api.auth import Service
from app.api.bodies import Batch, BodyRoute
from app.api.errors import declared
from app.api.openapi import batch_body
from app.api.schemas import ItemsOut
from app.api.state import StateDep
from app.domain.errors import FieldError, InvalidInputError
from app.domain.models import Item
from app.wire.schemas import ItemBodyIn, ItemIdIn, ItemIn, item_from_wire

router = APIRouter(tags=["ingest"], route_class=BodyRoute)


@router.post("/items", openapi_extra=batch_body(ItemIn), responses=declared(422))
def put_items(_caller: Service, entries: Batch, state: StateDep) -> ItemsOut:
    """Insert or replace a batch of catalogue entries, all or none; idempotent."""
    errors: list[FieldError] = []
    items: list[Item] = []
    for index, entry in enumerate(entries):
        try:
            items.append(item_from_wire(entry, at=f"items.{index}"))
        except InvalidInputError as error:
            errors.extend(error.errors)
    if errors:
        raise InvalidInputError(*errors)
    return ItemsOut(received=len(items), changed=state.container.catalogue.upsert(items))


@router.put("/items/{item_id}")
def put_item(
    item_id: Annotated[ItemIdIn, Path()],
    body: ItemBodyIn,
    _caller: Service,
    state: StateDep,
) -> ItemsOut:
    """Insert or replace one catalogue entry; `item_id` may be left out of the body."""
    if body.item_id not in {None, item_id}:
        raise InvalidInputError(FieldError("item_id", "differs from the address"))
    return ItemsOut(received=1, changed=state.container.catalogue.upsert([body.to_domain(item_id)]))
