"""Looking items up without asking for what is known already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from app.domain.models import Item, ItemId, Scored
from app.ports.memory_store import CatalogueIndex
from app.services.catalogue.snapshot import Shelf
from tests.world import World, catalogue, open_world

ITEM = catalogue()[0]


@dataclass
class _Counting:
    """The catalogue index, and what was asked of it."""

    index: CatalogueIndex
    asked: list[list[ItemId]] = field(default_factory=list)

    def upsert(self, items: Sequence[Item], embeddings: NDArray[np.float32]) -> None:
        self.index.upsert(items, embeddings)

    def search(self, query: NDArray[np.float32], *, top_n: int) -> list[Scored]:
        return self.index.search(query, top_n=top_n)

    def vectors(self, item_ids: Sequence[ItemId]) -> dict[ItemId, NDArray[np.float32]]:
        self.asked.append(sorted(item_ids))
        return self.index.vectors(item_ids)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("shelf")) as made:
        made.container.catalogue.upsert(catalogue())
        yield made


@pytest.fixture
def index(world: World) -> _Counting:
    return _Counting(world.adapters.catalogue_index)


@pytest.fixture
def shelf(world: World, index: _Counting) -> Shelf:
    return Shelf(uows=world.adapters.uows, catalogue=index)


def test_what_is_known_is_not_asked_for_again(shelf: Shelf, index: _Counting) -> None:
    first = shelf.look_up([ITEM.item_id, ItemId("none")])
    second = shelf.look_up([ITEM.item_id])

    assert index.asked == [[ITEM.item_id]]
    assert first.items == second.items == {ITEM.item_id: ITEM}
    expected = index.index.vectors([ITEM.item_id])[ITEM.item_id]
    assert (second.vectors[ITEM.item_id] == expected).all()


def test_a_change_is_seen_at_once(world: World, shelf: Shelf) -> None:
    before = shelf.look_up([ITEM.item_id])
    changed = replace(ITEM, title="Quite another book", description="On bees.")

    world.container.catalogue.upsert([changed])
    after = shelf.look_up([ITEM.item_id])
    world.container.catalogue.upsert([ITEM])

    assert after.items == {ITEM.item_id: changed}
    assert (after.vectors[ITEM.item_id] != before.vectors[ITEM.item_id]).any()
    assert shelf.look_up([ITEM.item_id]).items == before.items


def test_a_vector_of_an_older_version_is_not_kept(
    world: World, shelf: Shelf, index: _Counting
) -> None:
    waiting = replace(ITEM, title="Not indexed yet")
    with world.adapters.uows.write() as uow:
        uow.items.upsert([waiting], at=world.adapters.clock.now())

    shelf.look_up([ITEM.item_id])
    shelf.look_up([ITEM.item_id])
    world.container.catalogue.upsert([ITEM])

    assert len(index.asked) == 2
