"""Events and catalogue entries end in the same state, in whatever order they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.models import Item, ItemId, Kind
from app.services.recommendation.answer import Source
from app.services.recommendation.query import RecommendQuery
from tests.services.lives import event, in_clear
from tests.world import World, open_world

BOOK, SEQUEL = "The {} of storms at sea", "A {} among the planets"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("arrival"), unknown_items="stub") as made:
        made.container.feed.start()
        yield made


def write_all(world: World) -> None:
    while world.container.ingest.repair():
        pass


def put(world: World, item_id: str, title: str, **facts: Any) -> None:  # noqa: ANN401 (an Item's)
    world.container.catalogue.upsert([Item(ItemId(item_id), title, **facts)])


def held(world: World, name: str, prefix: str) -> object:
    """Return everything that is known of a user and of the items of a history."""
    with world.adapters.uows.read() as uow:
        history = uow.interactions.history(world.user(name))
        ids = {one.item_id for one in history if one.item_id}
        items = uow.items.get_many(ids)
    rows = {
        (str(one.item_id).removeprefix(prefix), one.kind, one.value, one.text, one.is_pending)
        for one in history
    }
    titles = {key.removeprefix(prefix): one.title for key, one in items.items()}
    vectors = {
        key.removeprefix(prefix): tuple(row.round(3).tolist())
        for key, row in world.adapters.catalogue_index.vectors(sorted(ids)).items()
    }
    clear = [(one.document.replace(prefix, ""), one.vector) for one in in_clear(world, name)]
    return rows, titles, vectors, clear


def arrive(world: World, order: Sequence[int], *, name: str, prefix: str) -> None:
    """Let three events and two entries come in an order."""
    book, sequel = f"{prefix}book", f"{prefix}sequel"
    ingest = world.container.ingest
    arrivals: list[Callable[[], object]] = [
        partial(put, world, book, BOOK.format("tale")),
        partial(put, world, sequel, SEQUEL.format("voyage"), available=False),
        partial(ingest.record, [event(world, name, "1", item=book, text="so long")]),
        partial(ingest.record, [event(world, name, "2", item=sequel, kind=Kind.VIEW, value=None)]),
        partial(
            ingest.record,
            [event(world, name, "3", item=book, kind=Kind.NOTE, value=None, text="too long")],
        ),
    ]
    for at in order:
        arrivals[at]()
        if at % 2:
            write_all(world)


numbers = count()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(5)))
def test_the_state_is_the_same_when_the_same_things_come_in_any_order(
    world: World, order: list[int]
) -> None:
    found = []
    for this in (range(5), order):
        number = next(numbers)
        name, prefix = f"reader-{number}", f"x{number}-"
        arrive(world, this, name=name, prefix=prefix)
        world.clock.ahead += timedelta(seconds=1)
        write_all(world)
        found.append(held(world, name, prefix))

    assert found[0] == found[1]


def test_memories_of_an_item_are_written_anew_when_its_entry_is_corrected(world: World) -> None:
    put(world, "typo", "Mistyped tilte of a cookbook")
    world.container.ingest.record([event(world, "ann", "1", item="typo", text="fine")])
    put(world, "right", "Title of a cookbook")
    world.container.ingest.record([event(world, "bo", "1", item="right", text="fine")])

    put(world, "typo", "Title of a cookbook")
    with world.adapters.uows.read() as uow:
        [entry] = uow.interactions.history(world.user("ann"))
    world.clock.ahead += timedelta(seconds=1)
    write_all(world)

    assert entry.is_pending  # until it is written anew, no list is made from it
    assert in_clear(world, "ann") == in_clear(world, "bo")
    vectors = world.adapters.catalogue_index.vectors([ItemId("typo"), ItemId("right")])
    assert vectors[ItemId("typo")].tolist() == vectors[ItemId("right")].tolist()


def test_nothing_is_written_anew_when_an_item_is_only_sold_out(world: World) -> None:
    put(world, "lamp", "A lamp of brass")
    world.container.ingest.record([event(world, "cy", "1", item="lamp", text="fine")])

    with world.answering("catalogue_index", "upsert"):
        put(world, "lamp", "A lamp of brass", available=False)

    with world.adapters.uows.read() as uow:
        [entry] = uow.interactions.history(world.user("cy"))
        indexed = uow.items.indexed([ItemId("lamp")])
    assert not entry.is_pending
    assert indexed == {ItemId("lamp")}


def test_a_stub_is_evidence_and_in_no_list_when_nobody_tells_its_entry(world: World) -> None:
    stub = ItemId("sku-999")
    for number in range(3):
        world.container.ingest.record([event(world, f"buyer-{number}", "1", item=stub)])
    world.settle()

    shown = world.container.catalogue
    assert shown.get([stub]) == []
    assert stub not in {one.item_id for one in shown.page(after=None, limit=999)}
    assert world.container.catalogue.repair() == 0
    assert world.adapters.catalogue_index.vectors([stub]) == {}
    assert stub in {one.item_id for one in world.adapters.neighbours.popular(top_n=999)}


def test_an_item_s_id_is_no_taste_when_nothing_else_is_known_of_it(world: World) -> None:
    put(world, "guide", "A guide to growing vanilla")
    for name, told in {"grower": "vanilla-seeds", "teller": "seeds"}.items():
        text = "growing vanilla" if name == "teller" else None
        world.container.ingest.record([event(world, name, "1", item=told, text=text)])

    grower, teller = (
        world.container.recommend.recommend(RecommendQuery(world.user(name)))
        for name in ("grower", "teller")
    )

    assert Source.CONTENT not in {one.source for one in grower.items}
    assert {one.item.item_id for one in teller.items if one.source is Source.CONTENT} >= {"guide"}
    assert not any(one.because for one in grower.items)
