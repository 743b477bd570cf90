"""A deleted item: in no list, no memory, no index and no file; what people did with it stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from app.domain.erasure.residue import Needles
from app.domain.errors import DependencyUnavailableError
from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.memory import describe_item
from app.ports.memory_store import Memory
from tests.services.lives import event, in_clear, memories
from tests.world import World

SELLER = "Bicycle of Eleonora Vandersteen, hardly used"
BIKE = Item(
    ItemId("ad/4711"), SELLER, "Ask for Eleonora V. at the gate", {"city": "Hinterzarten-Ost"}
)


def put(world: World, item: Item = BIKE) -> None:
    world.container.catalogue.upsert([item])


def is_found(world: World, *texts: str) -> bool:
    [reports] = world.container.search.search([Needles(texts=texts)])
    assert all(report.control_found for report in reports)
    return any(report.residue for report in reports)


def test_no_byte_of_its_words_is_left_when_an_item_was_deleted(own_world: World) -> None:
    world = own_world
    put(world)
    world.read("ann", ["ad/4711", "sea-01"], text="mine")
    before = memories(world, "ann")
    vector = world.adapters.catalogue_index.vectors([BIKE.item_id])[BIKE.item_id]
    assert is_found(world, SELLER)

    assert world.container.removal.remove(BIKE.item_id)
    assert world.container.removal.finish() == 1

    assert not is_found(world, SELLER, BIKE.description, "Hinterzarten-Ost")
    kept = {one.document for one in memories(world, "ann")}
    [gone] = [one for one in before if one.document not in kept]
    lost = Needles(documents=(gone.document,), vectors=(vector, gone.embedding))
    [reports] = world.container.search.search([lost])
    assert all(report.is_clean for report in reports)
    assert world.container.removal.finish() == 0


def test_it_is_nowhere_to_be_asked_for_when_an_item_was_deleted(own_world: World) -> None:
    world = own_world
    put(world)
    world.read("bo", ["ad/4711"], text="mine")
    query = world.adapters.embedder.embed([describe_item(BIKE)])[0]

    assert world.container.removal.remove(BIKE.item_id)

    assert world.container.catalogue.get([BIKE.item_id]) == []
    assert world.adapters.catalogue_index.vectors([BIKE.item_id]) == {}
    nearest = world.adapters.catalogue_index.search(query, top_n=80)
    assert BIKE.item_id not in {one.item_id for one in nearest}
    with world.adapters.uows.read() as uow:
        [entry] = uow.interactions.history(world.user("bo"))
        assert BIKE not in list(uow.items.all_items())
    assert entry.is_pending  # so that no list is made from its old words meanwhile
    assert not world.container.removal.remove(BIKE.item_id)


def test_what_people_did_counts_as_before_when_an_item_was_deleted(own_world: World) -> None:
    world = own_world
    put(world)
    world.read("cy", ["ad/4711", "sea-03"])
    world.settle()
    before = world.adapters.neighbours.state_hash()

    world.container.removal.remove(BIKE.item_id)
    world.container.removal.finish()

    state, rebuilt = world.container.feed.compare(without=world.user("nobody"))
    assert state == rebuilt
    assert world.adapters.neighbours.state_hash() == before


def test_a_memory_says_the_item_no_more_when_its_write_outlived_the_item(
    own_world: World,
) -> None:
    world = own_world
    put(world)
    write = world.adapters.memory.add

    def deleted_meanwhile(written: Sequence[Memory]) -> None:
        world.container.removal.remove(BIKE.item_id)
        write(written)

    with world.answering("memory", "add", deleted_meanwhile):
        world.read("di", ["ad/4711"], text="mine")
    assert world.container.removal.finish() == 0  # the writer may still be at it
    world.clock.ahead = timedelta(minutes=2)

    assert world.container.removal.finish() == 1

    assert [one.document for one in in_clear(world, "di")] == ['Rated 5: ad/4711 "mine"']


def test_a_deletion_is_finished_later_when_a_store_does_not_answer(own_world: World) -> None:
    world = own_world
    put(world)

    with world.answering("catalogue_index", "remove"):
        assert world.container.removal.remove(BIKE.item_id)
        with pytest.raises(DependencyUnavailableError):
            world.container.removal.finish()
    assert world.container.catalogue.get([BIKE.item_id]) == []

    assert world.container.removal.finish() == 1
    assert world.adapters.catalogue_index.vectors([BIKE.item_id]) == {}


def test_another_item_of_the_same_name_stays_when_one_of_them_is_deleted(own_world: World) -> None:
    world = own_world
    twin = Item(ItemId("ad/4712"), SELLER, BIKE.description, BIKE.attributes)
    put(world)
    put(world, twin)

    world.container.removal.remove(BIKE.item_id)

    assert world.container.removal.finish() == 1
    assert world.container.catalogue.get([twin.item_id]) == [twin]


def test_an_item_that_comes_back_is_there_when_its_deletion_is_finished(own_world: World) -> None:
    world = own_world
    put(world)
    world.read("ed", ["ad/4711"], text="mine")
    world.container.removal.remove(BIKE.item_id)
    new = Item(BIKE.item_id, "A bicycle, in good order")
    put(world, new)

    assert world.container.removal.finish() == 1

    assert not is_found(world, SELLER)
    assert world.container.catalogue.get([new.item_id]) == [new]
    assert list(world.adapters.catalogue_index.vectors([new.item_id])) == [new.item_id]
    assert [one.document for one in in_clear(world, "ed")] == [f'Rated 5: {new.title} "mine"']


def test_an_event_about_it_is_refused_when_an_item_was_deleted(own_world: World) -> None:
    world = own_world
    put(world)
    world.container.removal.remove(BIKE.item_id)
    late = event(world, "fay", "late", kind=Kind.VIEW, item="ad/4711")

    told = world.container.ingest.record([late], skip_unknown=True)

    assert [code for _, code in told.errors] == ["unknown_item"]
