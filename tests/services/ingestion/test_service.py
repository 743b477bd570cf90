from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.erasure.request import ErasureOrder
from app.domain.erasure.scope import AllScope
from app.domain.errors import UnknownItemsError
from app.domain.models import Item, ItemId, RequestId
from app.ports.memory_store import Memory
from app.services.erasure.requests import ForgetCommand
from tests.world import World, catalogue, open_world

SEA = [f"sea-{number:02d}" for number in range(6)]
WORDS = "read on a night train"


def n_memories(world: World, name: str) -> int:
    order = ErasureOrder(RequestId(""), world.user(name), is_whole_user=True, record_ids=())
    return world.adapters.memory.count(order)


def test_a_repeat_changes_nothing(shared_world: World) -> None:
    assert shared_world.read("twice", SEA, text=WORDS) == (6, 0, 0)
    assert shared_world.read("twice", SEA, text=WORDS) == (0, 6, 0)
    assert n_memories(shared_world, "twice") == 6


def test_what_is_in_nobody_s_words_has_no_copy_in_the_vector_store(own_world: World) -> None:
    with own_world.answering("memory", "add"):
        assert own_world.read("silent", SEA) == (6, 0, 0)
    with own_world.adapters.uows.read() as uow:
        history = uow.interactions.history(own_world.user("silent"))

    assert not any(one.is_pending for one in history)
    assert n_memories(own_world, "silent") == 0
    own_world.container.restore.match_memories()
    assert n_memories(own_world, "silent") == 0


def test_an_unknown_item_refuses_the_batch_and_its_place_is_named(shared_world: World) -> None:
    with pytest.raises(UnknownItemsError, match=r"interactions\.1\.item_id: unknown") as caught:
        shared_world.read("lost", ["sea-00", "atlantis"])

    assert caught.value.indices == {1}
    assert n_memories(shared_world, "lost") == 0
    with shared_world.adapters.uows.read() as uow:
        assert uow.subjects.get(shared_world.user("lost")) is None


def test_an_unknown_item_becomes_a_stub_where_that_is_set(tmp_path: Path) -> None:
    with open_world(tmp_path, unknown_items="stub") as world:
        assert world.read("explorer", ["atlantis"]) == (1, 0, 0)
        with world.adapters.uows.read() as uow:
            items = uow.items.get_many({ItemId("atlantis")})

    [stub] = items.values()
    assert stub == Item(ItemId("atlantis"), title="atlantis", is_stub=True)
    assert not stub.is_shown


def test_memories_that_could_not_be_written_are_written_later(own_world: World) -> None:
    with own_world.answering("memory", "add"):
        assert own_world.read("patient", SEA, text=WORDS) == (6, 0, 0)
    assert n_memories(own_world, "patient") == 0
    own_world.clock.ahead = timedelta(days=10_000)

    assert own_world.container.ingest.repair() == 6
    assert n_memories(own_world, "patient") == 6
    assert own_world.container.ingest.repair() == 0


def test_a_memory_written_after_its_erasure_is_taken_back(own_world: World) -> None:
    write = own_world.adapters.memory.add
    command = ForgetCommand(pseudonym=own_world.user("late"), scope=AllScope())

    def erased_meanwhile(memories: Sequence[Memory]) -> None:
        own_world.container.forget.accept(command)
        write(memories)

    with own_world.answering("memory", "add", erased_meanwhile):
        own_world.read("late", SEA, text=WORDS)

    assert n_memories(own_world, "late") == 0


def test_items_that_could_not_be_indexed_are_indexed_later(own_world: World) -> None:
    new = Item(ItemId("sea-99"), title="Whale voyage 99")
    with own_world.answering("catalogue_index", "upsert"):
        assert own_world.container.catalogue.upsert([new]) == 1
    assert own_world.adapters.catalogue_index.vectors([new.item_id]) == {}

    assert own_world.container.catalogue.repair() == 1

    assert list(own_world.adapters.catalogue_index.vectors([new.item_id])) == [new.item_id]


def test_the_same_catalogue_again_changes_nothing(shared_world: World) -> None:
    assert shared_world.container.catalogue.upsert(catalogue()) == 0
