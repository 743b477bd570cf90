"""What a world holds of a user's events, and making events."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.erasure.request import ErasureOrder
from app.domain.models import Interaction, ItemId, Kind, RequestId
from app.ports.memory_store import Memory
from tests.world import START, World


def event(
    world: World,
    name: str,
    event_id: str,
    *,
    item: str | None = "sea-00",
    kind: Kind = Kind.RATING,
    value: float | None = 5.0,
    text: str | None = None,
) -> Interaction:
    """Return an event of a user."""
    pseudonym = world.user(name)
    key = world.adapters.identity.event_key(pseudonym, event_id)
    item_id = None if item is None else ItemId(item)
    return Interaction(pseudonym, key, kind, START, item_id, value, text, event_id)


def memories(world: World, name: str) -> list[Memory]:
    """Return a user's memories as the store holds them."""
    order = ErasureOrder(RequestId(""), world.user(name), is_whole_user=True, record_ids=())
    return world.adapters.memory.collect(order)


@dataclass(frozen=True)
class Clear:
    """A memory as the service reads it: its document, and its vector to three digits."""

    document: str
    vector: tuple[float, ...]


def in_clear(world: World, name: str) -> list[Clear]:
    """Return a user's memories as the service reads them, by document."""
    found, pseudonym = memories(world, name), world.user(name)
    sealed: dict[str, str] = {one.record_id: one.document for one in found}
    opened = world.adapters.cipher.open(sealed, pseudonym=pseudonym, purpose="document")
    vectors = world.adapters.memory.vectors(pseudonym, [one.record_id for one in found])
    clear = [
        Clear(opened[one.record_id], tuple(vectors[one.record_id].round(3).tolist()))
        for one in found
    ]
    return sorted(clear, key=lambda one: (one.document, one.vector))
