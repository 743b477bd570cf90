"""The catalogue index held in the process: the same answers, and never an old catalogue's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from app.domain.errors import DependencyUnavailableError
from app.domain.models import Item, ItemId
from app.domain.recommendation.memory import describe_item
from app.services.catalogue.held_catalogue import HeldCatalogue
from app.services.catalogue.service import CatalogueService
from tests.world import World, catalogue, open_world

SEA = Item(ItemId("sea"), "Whale voyage in a storm", "Sailors on the ocean")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("held")) as made:
        made.container.catalogue.upsert(catalogue())
        yield made


@pytest.fixture
def held(world: World) -> HeldCatalogue:
    """One of a process that has just started."""
    return HeldCatalogue(uows=world.adapters.uows, index=world.adapters.catalogue_index)


@pytest.fixture
def intake(world: World, held: HeldCatalogue) -> CatalogueService:
    """The same process's intake of items."""
    parts = world.adapters
    return CatalogueService(uows=parts.uows, index=held, embedder=parts.embedder, clock=parts.clock)


def embedded(world: World, item: Item) -> NDArray[np.float32]:
    query: NDArray[np.float32] = world.adapters.embedder.embed([describe_item(item)])[0]
    return query


def nearest(world: World, held: HeldCatalogue, item: Item) -> ItemId:
    (found,) = held.search(embedded(world, item), top_n=1)
    return found.item_id


@pytest.mark.parametrize("top_n", [1, 7, 40, 1_000])
def test_it_finds_what_the_index_finds(world: World, held: HeldCatalogue, top_n: int) -> None:
    query = embedded(world, SEA)
    asked = held.search(query, top_n=top_n)
    assert held.refresh()
    assert not held.refresh()

    own = held.search(query, top_n=top_n)

    assert len(own) == len(asked) == min(top_n, world.container.catalogue.count())
    assert [one.score for one in own] == pytest.approx([one.score for one in asked], abs=1e-5)
    assert own == sorted(own, key=lambda one: (-one.score, one.item_id))


def test_what_it_holds_it_does_not_ask_for_again(world: World, held: HeldCatalogue) -> None:
    held.refresh()
    other = HeldCatalogue(uows=world.adapters.uows, index=world.adapters.catalogue_index)

    with (
        world.answering("catalogue_index", "search"),
        world.answering("catalogue_index", "vectors"),
    ):
        assert len(held.search(embedded(world, SEA), top_n=5)) == 5
        with pytest.raises(DependencyUnavailableError):
            other.refresh()


def test_what_this_process_writes_counts_at_once(
    world: World, held: HeldCatalogue, intake: CatalogueService
) -> None:
    held.refresh()
    new = Item(ItemId("baking"), "Bread and pastry", "Recipes for the oven")

    intake.upsert([new])

    assert nearest(world, held, new) == "baking", "before the refresh"
    assert held.refresh()
    assert nearest(world, held, new) == "baking"


def test_what_another_process_writes_counts_from_the_next_refresh(
    world: World, held: HeldCatalogue
) -> None:
    held.refresh()
    new = Item(ItemId("garden"), "Roses and tulips", "Flowers through the year")

    world.container.catalogue.upsert([new])

    assert held.refresh()
    assert nearest(world, held, new) == "garden"


def test_a_catalogue_that_waits_for_vectors_is_not_held(world: World, held: HeldCatalogue) -> None:
    held.refresh()
    new = Item(ItemId("chess"), "Openings and endgames", "Chess for beginners")
    with world.answering("catalogue_index", "upsert"):
        world.container.catalogue.upsert([new])

    assert not held.refresh()
    assert nearest(world, held, new) != "chess"

    world.container.catalogue.repair()
    assert held.refresh()
    assert nearest(world, held, new) == "chess"


def test_a_write_while_it_reads_is_not_missed(
    world: World, held: HeldCatalogue, intake: CatalogueService
) -> None:
    vectors = world.adapters.catalogue_index.vectors
    new = Item(ItemId("tax"), "Tax returns", "Forms and allowances")
    unwritten = [new]

    def overtaken(item_ids: list[ItemId]) -> dict[ItemId, NDArray[np.float32]]:
        seen = vectors(item_ids)
        if unwritten:
            intake.upsert([unwritten.pop()])
        return seen

    with world.answering("catalogue_index", "vectors", overtaken):
        held.refresh()

    assert nearest(world, held, new) == "tax"


def test_a_large_catalogue_and_an_empty_one_are_not_held(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    adapters = world.adapters
    small = HeldCatalogue(uows=adapters.uows, index=adapters.catalogue_index, max_items=59)
    assert not small.refresh()
    with open_world(tmp_path_factory.mktemp("empty")) as empty:
        assert not empty.container.held_catalogue.refresh()
        assert empty.container.held_catalogue.search(embedded(world, SEA), top_n=3) == []
