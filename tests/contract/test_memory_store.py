"""What every MemoryStore does: in memory, Chroma embedded, Chroma on a server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.layout import CollectionSpec
from app.adapters.chroma.memory import ChromaMemoryStore
from app.domain.models import RecordId
from app.ports.memory_store import Memory, MemoryStore
from docs.examples.store import SqliteMemoryStore
from tests.fakes_memory import FakeMemoryStore
from tests.planted import a_user, an_order, emptied, memories_of
from tests.servers.chroma import RunningChroma, running_chroma

DIM = 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningChroma]:
    with running_chroma(tmp_path_factory.mktemp("chroma")) as running:
        yield running


@pytest.fixture(
    params=["fake", "example", "embedded", pytest.param("server", marks=pytest.mark.chroma)],
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemoryStore]:
    spec = CollectionSpec("test-embedder", DIM, n_shards=4)
    if request.param == "fake":
        yield FakeMemoryStore()
    elif request.param == "example":
        with closing(SqliteMemoryStore(tmp_path / "memories.db")) as example:
            yield example
    elif request.param == "embedded":
        with ChromaDatabase.embedded(tmp_path) as database:
            yield ChromaMemoryStore(database, spec=spec)
    else:
        server: RunningChroma = request.getfixturevalue("server")
        with ChromaDatabase.server(server.url, directory=server.directory) as database:
            yield ChromaMemoryStore(emptied(database), spec=spec)


def test_vectors_come_back_when_added(store: MemoryStore) -> None:
    memories = memories_of(a_user(), n=5)

    store.add(memories)

    found = store.vectors(memories[0].pseudonym, [m.record_id for m in memories])
    assert found.keys() == {m.record_id for m in memories}
    for memory in memories:
        np.testing.assert_allclose(found[memory.record_id], memory.embedding, atol=1e-6)
        assert found[memory.record_id].dtype == np.float32


def test_missing_ids_are_left_out_when_asked_for(store: MemoryStore) -> None:
    memories = memories_of(a_user(), n=2)
    unknown = RecordId(secrets.token_hex(16))
    ids = [memories[0].record_id, unknown, memories[0].record_id]

    assert store.vectors(memories[0].pseudonym, ids) == {}
    store.add(memories)

    assert store.vectors(memories[0].pseudonym, ids).keys() == {memories[0].record_id}
    assert store.vectors(memories[0].pseudonym, []) == {}


def test_last_write_wins_when_a_record_id_repeats(store: MemoryStore) -> None:
    first, second = memories_of(a_user(), n=2)
    again = Memory(first.record_id, first.pseudonym, second.document, second.embedding)

    store.add([first])
    store.add([first, again])

    vector = store.vectors(first.pseudonym, [first.record_id])[first.record_id]
    np.testing.assert_allclose(vector, second.embedding, atol=1e-6)
    assert store.size() == 1


def test_only_the_order_goes_when_erased(store: MemoryStore) -> None:
    mine, others = memories_of(a_user(), n=6), memories_of(a_user(), n=3)
    store.add([*mine, *others])
    order = an_order(mine[:4], is_whole_user=False)

    assert store.count(order) == 4
    assert store.erase(order) == 4

    assert store.count(order) == 0
    left = store.vectors(mine[0].pseudonym, [m.record_id for m in mine])
    assert left.keys() == {m.record_id for m in mine[4:]}
    assert store.count(an_order(others)) == 3


def test_strays_go_too_when_the_whole_user_is_erased(store: MemoryStore) -> None:
    mine, others = memories_of(a_user(), n=7), memories_of(a_user(), n=2)
    store.add([*mine, *others])
    order = an_order(mine[:2], is_whole_user=True)

    assert store.count(order) == 7
    assert store.erase(order) == 7

    assert store.count(order) == 0
    assert store.size() == 2


def test_nothing_happens_when_erased_twice(store: MemoryStore) -> None:
    mine, others = memories_of(a_user(), n=3), memories_of(a_user(), n=2)
    store.add([*mine, *others])
    order = an_order(mine)

    assert [store.erase(order), store.erase(order)] == [3, 0]

    assert store.size() == 2
    kept = store.vectors(others[0].pseudonym, [m.record_id for m in others])
    np.testing.assert_allclose(kept[others[0].record_id], others[0].embedding, atol=1e-6)


def test_nothing_is_counted_when_the_store_is_empty(store: MemoryStore) -> None:
    order = an_order(memories_of(a_user(), n=2))

    assert store.erase(order) == 0
    assert store.count(order) == 0
    assert store.size() == 0


def test_everything_goes_when_more_than_one_batch_is_erased(store: MemoryStore) -> None:
    mine = memories_of(a_user(), n=2_300)
    store.add(mine)
    order = an_order(mine, is_whole_user=False)

    found = store.vectors(mine[0].pseudonym, order.record_ids)
    assert len(found) == 2_300
    assert store.erase(order) == 2_300

    assert store.size() == 0


def test_records_stay_when_maintained(store: MemoryStore) -> None:
    mine, others = memories_of(a_user(), n=120), memories_of(a_user(), n=130)
    store.add([*mine, *others])
    store.erase(an_order(mine))

    store.maintain([mine[0].pseudonym])

    assert store.size() == 130
    store.add(mine)
    assert store.count(an_order(mine)) == 120


def test_health_is_timed(store: MemoryStore) -> None:
    assert 0.0 <= store.health().latency_ms < 5_000.0
