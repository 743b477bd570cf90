"""``/items``: the catalogue, and the life of an item."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, status

from app.api.auth import Ingester, Reader
from app.api.bodies import Batch, BodyRoute
from app.api.errors import declared
from app.api.openapi import batch_body
from app.api.schemas import ItemOut, ItemPageOut, ItemsOut
from app.api.state import State, StateDep
from app.domain.errors import FieldError, InvalidInputError, NotFoundError
from app.domain.models import Item, ItemId
from app.wire.ids import ItemIdIn
from app.wire.schemas import ItemBodyIn, ItemIn, item_from_wire

router = APIRouter(tags=["ingest"], route_class=BodyRoute)
ItemIdPath = Annotated[ItemIdIn, Path()]
_MOST_ITEMS: Final = 1_000


@router.post("/items", openapi_extra=batch_body(ItemIn), responses=declared(422))
def put_items(_caller: Ingester, entries: Batch, state: StateDep) -> ItemsOut:
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


@router.put("/items/{item_id:path}")
def put_item(
    item_id: ItemIdPath,
    body: ItemBodyIn,
    _caller: Ingester,
    state: StateDep,
) -> ItemsOut:
    """Insert or replace one catalogue entry; `item_id` may be left out of the body."""
    if body.item_id not in {None, item_id}:
        raise InvalidInputError(FieldError("item_id", "differs from the address"))
    return ItemsOut(received=1, changed=state.container.catalogue.upsert([body.to_domain(item_id)]))


@router.get("/items")
def get_items(
    _caller: Reader,
    state: StateDep,
    *,
    item_id: Annotated[
        list[ItemIdIn],
        Query(
            default_factory=list,
            max_length=_MOST_ITEMS,
            description="Only these, whatever characters they have.",
        ),
    ],
    after: Annotated[
        ItemIdIn | None, Query(description="The last id of the page before; see `next`.")
    ] = None,
    limit: Annotated[
        int, Query(ge=1, le=_MOST_ITEMS, description="Most items of the answer.")
    ] = 100,
) -> ItemPageOut:
    """List catalogue entries by id, a page at a time, or those of some ids; hidden ones, too."""
    catalogue = state.container.catalogue
    if item_id:
        found = catalogue.get([ItemId(one) for one in item_id])
        return ItemPageOut(items=[ItemOut.model_validate(one) for one in found], next=None)
    page = catalogue.page(after=ItemId(after) if after else None, limit=limit)
    last = page[-1].item_id if len(page) == limit else None
    return ItemPageOut(items=[ItemOut.model_validate(one) for one in page], next=last)


@router.get("/items/{item_id:path}", responses=declared(404))
def get_item(item_id: ItemIdPath, _caller: Reader, state: StateDep) -> ItemOut:
    """Tell what the catalogue says of an item; an id with other routes' names: `GET /items`."""
    for item in state.container.catalogue.get([ItemId(item_id)]):
        return ItemOut.model_validate(item)
    raise NotFoundError("no item has this id")


@router.delete("/items", status_code=status.HTTP_204_NO_CONTENT, responses=declared(404))
def delete_item_by_query(
    item_id: Annotated[ItemIdIn, Query()], _caller: Ingester, state: StateDep
) -> None:
    """Do as `DELETE /items/{item_id}`, for an id that no address can hold, such as `..`."""
    _remove(item_id, state)


@router.delete(
    "/items/{item_id:path}", status_code=status.HTTP_204_NO_CONTENT, responses=declared(404)
)
def delete_item(item_id: ItemIdPath, _caller: Ingester, state: StateDep) -> None:
    """Delete an item: from this answer on it is in no list, and soon in no file.

    What users did with it stays, as evidence about an item that the catalogue does not know;
    their memories of it are written anew without its words. To keep an item and not show it, put
    it with `available` false.
    """
    _remove(item_id, state)


def _remove(item_id: str, state: State) -> None:
    if not state.container.removal.remove(ItemId(item_id)):
        raise NotFoundError("no item has this id")
