"""The catalogue as it is now: what anyone writes counts at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.errors import DependencyUnavailableError
from app.domain.models import Item, ItemId
from app.domain.recommendation.memory import describe_item
from app.services.catalogue.current import CurrentCatalogue
from tests.world import World, catalogue, open_world

NEW = Item(ItemId("baking"), "Bread and pastry", "Recipes for the oven")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as made:
        made.container.catalogue.upsert(catalogue())
        yield made


@pytest.fixture
def current(world: World) -> CurrentCatalogue:
    """The one of another process than that which writes."""
    return CurrentCatalogue(uows=world.adapters.uows, index=world.adapters.catalogue_index)


def nearest(world: World, current: CurrentCatalogue, item: Item) -> ItemId:
    [query] = world.adapters.embedder.embed([describe_item(item)])
    return current.now().nearest(query, top_n=1)[0].item_id


@pytest.mark.parametrize("is_refreshed", [False, True])
def test_what_another_process_writes_counts_at_once(
    *, world: World, current: CurrentCatalogue, is_refreshed: bool
) -> None:
    assert nearest(world, current, NEW) != NEW.item_id

    world.container.catalogue.upsert([NEW])
    if is_refreshed:
        current.refresh()

    assert nearest(world, current, NEW) == NEW.item_id
    assert current.now().items([NEW.item_id]) == {NEW.item_id: NEW}


def test_a_snapshot_is_the_same_object_while_nothing_changes(
    world: World, current: CurrentCatalogue
) -> None:
    current.refresh()
    first = current.now()
    world.read("someone", ["sea-01"])
    current.refresh()

    assert current.now() is first


def test_a_new_vector_counts_when_the_index_has_caught_up(
    world: World, current: CurrentCatalogue
) -> None:
    current.now()
    with world.answering("catalogue_index", "upsert"):
        world.container.catalogue.upsert([NEW])
    assert nearest(world, current, NEW) != NEW.item_id

    world.container.catalogue.repair()

    assert nearest(world, current, NEW) == NEW.item_id


def test_the_index_is_not_asked_twice_for_one_version(
    world: World, current: CurrentCatalogue
) -> None:
    nearest(world, current, NEW)
    uows, index = world.adapters.uows, world.adapters.catalogue_index

    with (
        world.answering("catalogue_index", "search"),
        world.answering("catalogue_index", "vectors"),
    ):
        assert nearest(world, current, NEW)
        with pytest.raises(DependencyUnavailableError):
            nearest(world, CurrentCatalogue(uows=uows, index=index), NEW)


def test_columns_follow_when_more_items_change_than_are_judged_one_by_one(
    world: World, current: CurrentCatalogue
) -> None:
    before = current.now()
    many = [Item(ItemId(f"many-{number}"), "One of many") for number in range(501)]

    world.container.catalogue.upsert(many)

    assert current.now().base is not before.base
    assert not current.now().changed
    assert len(current.now().eligible()) == 60 + len(many)
