"""What the Chroma adapter does beyond the port: generations, refusals, errors."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.adapters.chroma import memory as chroma_memory
from app.adapters.chroma.catalogue import ChromaCatalogueIndex
from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.heap import is_heap_overwritten
from app.adapters.chroma.layout import CollectionSpec, memory_family, parse_name, shard_of
from app.adapters.chroma.memory import ChromaMemoryStore
from app.domain.errors import DependencyUnavailableError, IntegrityError
from app.ports.memory_store import Memory, Reindexed
from tests.planted import a_user, an_order, memories_of
from tests.servers.chroma import RunningChroma, running_chroma

SPEC = CollectionSpec("test-embedder", 32, n_shards=2)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[ChromaDatabase]:
    with ChromaDatabase.embedded(tmp_path) as opened:
        yield opened


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningChroma]:
    with running_chroma(tmp_path) as running:
        yield running


def names(database: ChromaDatabase) -> set[str]:
    return {collection.name for collection in database.collections()}


def segments(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.is_dir()}


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("memory-07-g1", ("memory-07", 1)),
        ("memory-123-g12", ("memory-123", 12)),
        ("items-g3", ("items", 3)),
        ("memory-07", None),
        ("somebody-elses", None),
    ],
)
def test_names_are_read_back(name: str, parsed: tuple[str, int] | None) -> None:
    assert parse_name(name) == parsed


def test_users_are_spread_evenly_over_shards() -> None:
    shards = [shard_of(a_user(), n_shards=4) for _ in range(400)]

    assert all(60 < shards.count(shard) < 140 for shard in range(4))
    assert memory_family(3) == "memory-03"


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, embedder_id="another"),
        replace(SPEC, dim=64),
        replace(SPEC, n_shards=8),
    ],
)
def test_store_is_refused_when_it_was_filled_otherwise(
    database: ChromaDatabase, other: CollectionSpec
) -> None:
    ChromaMemoryStore(database, spec=SPEC).add(memories_of(a_user(shard=0, n_shards=2), n=1))

    with pytest.raises(IntegrityError, match="load the data anew"):
        ChromaMemoryStore(database, spec=other)
    ChromaCatalogueIndex(database, spec=replace(SPEC, dim=8, n_shards=1))


def test_records_are_there_when_opened_again(tmp_path: Path) -> None:
    mine = memories_of(a_user(), n=130)
    with ChromaDatabase.embedded(tmp_path) as database:
        ChromaMemoryStore(database, spec=SPEC).add(mine)
    with ChromaDatabase.embedded(tmp_path) as database:
        again = ChromaMemoryStore(database, spec=SPEC)

        assert again.count(an_order(mine)) == 130


def test_foreign_collections_are_left_alone(database: ChromaDatabase) -> None:
    database.ensure("somebody-elses", spec=replace(SPEC, dim=3))
    mine = memories_of(a_user(), n=3)
    store = ChromaMemoryStore(database, spec=SPEC)
    store.add(mine)

    store.erase(an_order(mine))
    store.maintain([mine[0].pseudonym])

    assert "somebody-elses" in names(database)
    assert store.size() == 0


def test_records_stay_and_files_go_when_reindexed(database: ChromaDatabase) -> None:
    store = ChromaMemoryStore(database, spec=SPEC)
    mine = memories_of(a_user(shard=1, n_shards=2), n=150)
    gone = memories_of(a_user(shard=1, n_shards=2), n=150)
    store.add([*mine, *gone])
    store.erase(an_order(gone))
    assert database.directory is not None
    before = segments(database.directory)

    assert store.reindex([1]) == Reindexed(shards=1, copied=150, emptied=0)

    assert names(database) == {"memory-01-g2"}
    assert not before & segments(database.directory)
    assert store.count(an_order(mine)) == 150
    assert store.count(an_order(gone)) == 0


def test_texts_are_in_no_full_text_index(database: ChromaDatabase) -> None:
    ChromaMemoryStore(database, spec=SPEC).add(memories_of(a_user(shard=1, n_shards=2), n=3))

    collection = database.find("memory-01-g1")

    assert collection is not None
    assert set(collection.get(include=["documents"])["documents"] or ()) == {None}


def test_texts_of_an_older_store_are_read_and_moved_when_reindexed(
    database: ChromaDatabase,
) -> None:
    store = ChromaMemoryStore(database, spec=SPEC)
    new = memories_of(a_user(shard=1, n_shards=2), n=2)
    old = memories_of(a_user(shard=1, n_shards=2), n=3)
    store.add(new)
    collection = database.find("memory-01-g1")
    assert collection is not None
    collection.upsert(
        ids=[memory.record_id for memory in old],
        embeddings=np.stack([memory.embedding for memory in old]),
        documents=[memory.document for memory in old],
        metadatas=[{"p": memory.pseudonym} for memory in old],
    )
    texts = {memory.record_id: memory.document for memory in (*old, *new)}

    for _ in range(2):
        found = [*store.collect(an_order(old)), *store.collect(an_order(new))]
        assert {memory.record_id: memory.document for memory in found} == texts
        store.reindex([1])

    moved = database.find("memory-01-g3")
    assert moved is not None
    assert set(moved.get(include=["documents"])["documents"] or ()) == {None}
    assert store.erase(an_order(old)) == 3


def test_worn_shard_is_reindexed_when_maintained(
    database: ChromaDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chroma_memory, "REINDEX_ABOVE", 100)
    store = ChromaMemoryStore(database, spec=SPEC)
    mine = memories_of(a_user(shard=0, n_shards=2), n=50)
    gone = memories_of(a_user(shard=0, n_shards=2), n=200)
    store.add([*mine, *gone])
    store.erase(an_order(gone))

    assert store.maintain([gone[0].pseudonym]) > 0

    assert names(database) == {"memory-00-g2"}
    assert store.count(an_order(mine)) == 50


def test_of_several_worn_shards_the_most_worn_go_first_and_the_others_next_time(
    database: ChromaDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chroma_memory, "REINDEX_ABOVE", 20)
    store = ChromaMemoryStore(database, spec=replace(SPEC, n_shards=3))
    users = [a_user(shard=shard, n_shards=3) for shard in range(3)]
    gone = [memories_of(user, n=110 + 10 * shard) for shard, user in enumerate(users)]
    kept = [memories_of(a_user(shard=shard, n_shards=3), n=5) for shard in range(3)]
    store.add([memory for memories in (*gone, *kept) for memory in memories])
    for memories in gone:
        store.erase(an_order(memories))

    store.maintain(users)
    assert names(database) == {"memory-00-g1", "memory-01-g2", "memory-02-g2"}
    store.maintain(users[:1])

    assert names(database) == {"memory-00-g2", "memory-01-g2", "memory-02-g2"}
    assert [store.count(an_order(memories)) for memories in (*gone, *kept)] == [0, 0, 0, 5, 5, 5]


def test_half_full_shard_is_kept_when_maintained(database: ChromaDatabase) -> None:
    store = ChromaMemoryStore(database, spec=SPEC)
    mine = memories_of(a_user(shard=0, n_shards=2), n=200)
    gone = memories_of(a_user(shard=0, n_shards=2), n=150)
    store.add([*mine, *gone])
    store.erase(an_order(gone))

    store.maintain([gone[0].pseudonym])

    assert names(database) == {"memory-00-g1"}


def test_nothing_is_lost_or_revived_when_reindexed_under_traffic(
    server: RunningChroma,
) -> None:
    """Two clients, as an API and a worker: one re-indexes, the other writes and erases."""
    with (
        ChromaDatabase.server(server.url, directory=server.directory) as one,
        ChromaDatabase.server(server.url, directory=server.directory) as two,
    ):
        store, worker = ChromaMemoryStore(one, spec=SPEC), ChromaMemoryStore(two, spec=SPEC)
        store.add(memories_of(a_user(shard=0, n_shards=2), n=1_500))
        gone, kept = _rounds(store, stop_after=lambda: _reindexed(worker, n_times=6))

        assert names(one) == {"memory-00-g7"}
        assert gone
        assert sum(store.count(an_order(memories)) for memories in gone) == 0
        assert all(store.count(an_order(m)) == len(m) for m in kept)
        assert store.size() == 1_500 + sum(map(len, kept))


def _rounds(
    store: ChromaMemoryStore, *, stop_after: Callable[[], None]
) -> tuple[list[list[Memory]], list[list[Memory]]]:
    """Add two users and erase one, again and again, until ``stop_after`` returns."""
    gone: list[list[Memory]] = []
    kept: list[list[Memory]] = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(stop_after)
        while not running.done():
            leaving = memories_of(a_user(shard=0, n_shards=2), n=4)
            staying = memories_of(a_user(shard=0, n_shards=2), n=4)
            store.add([*leaving, *staying])
            assert store.erase(an_order(leaving)) == 4
            gone.append(leaving)
            kept.append(staying)
        running.result()
    return gone, kept


def _reindexed(store: ChromaMemoryStore, *, n_times: int) -> None:
    for _ in range(n_times):
        store.reindex([0])


def test_copy_is_finished_when_a_reindex_was_cut_short(database: ChromaDatabase) -> None:
    store = ChromaMemoryStore(database, spec=SPEC)
    mine = memories_of(a_user(shard=0, n_shards=2), n=20)
    store.add(mine)
    half = database.ensure("memory-00-g2", spec=SPEC, is_ready=False)
    half.add(ids=["stray"], embeddings=np.ones((1, 32), np.float32), metadatas=[{"p": "-"}])
    late = memories_of(a_user(shard=0, n_shards=2), n=5)

    reopened = ChromaMemoryStore(database, spec=SPEC)
    reopened.add(late)
    assert reopened.size() == 25
    reopened.reindex(None)

    assert names(database) == {"memory-00-g2"}
    assert reopened.size() == 25
    assert reopened.count(an_order(late)) == 5


def test_old_generation_is_dropped_when_its_reindex_was_killed_late(
    database: ChromaDatabase,
) -> None:
    mine = memories_of(a_user(shard=0, n_shards=2), n=5)
    ChromaMemoryStore(database, spec=SPEC).add(mine)
    database.ensure("memory-00-g2", spec=SPEC)
    store = ChromaMemoryStore(database, spec=SPEC)

    store.maintain([mine[0].pseudonym])

    assert names(database) == {"memory-00-g2"}


def test_maintenance_is_refused_when_the_files_are_out_of_reach(server: RunningChroma) -> None:
    with ChromaDatabase.server(server.url) as database:
        store = ChromaMemoryStore(database, spec=SPEC)

        with pytest.raises(DependencyUnavailableError, match="not reachable"):
            store.maintain([a_user()])
        with pytest.raises(DependencyUnavailableError, match="not reachable"):
            store.reindex(None)


def test_error_names_nobody_when_the_server_is_gone(tmp_path: Path) -> None:
    mine = memories_of(a_user(), n=2)
    with running_chroma(tmp_path) as server:
        database = ChromaDatabase.server(server.url)
        store = ChromaMemoryStore(database, spec=SPEC)
        store.add(mine)

    with database:
        for call in (
            lambda: store.add(mine),
            lambda: store.vectors(mine[0].pseudonym, [mine[0].record_id]),
            lambda: store.erase(an_order(mine)),
            store.health,
        ):
            with pytest.raises(DependencyUnavailableError) as caught:
                call()
            assert caught.value.message == "the vector store does not answer"
    with pytest.raises(DependencyUnavailableError):
        ChromaDatabase.server(server.url)


def test_waiting_ends_when_the_server_hangs(server: RunningChroma) -> None:
    mine = memories_of(a_user(), n=2)
    assert server.pid is not None
    with ChromaDatabase.server(server.url, timeout_s=1.0) as database:
        store = ChromaMemoryStore(database, spec=SPEC)
        store.add(mine)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(DependencyUnavailableError):
                store.vectors(mine[0].pseudonym, [mine[0].record_id])
        finally:
            os.kill(server.pid, signal.SIGCONT)


def test_something_else_is_refused_as_a_server() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        with pytest.raises(DependencyUnavailableError):
            ChromaDatabase.server(f"http://127.0.0.1:{port}", timeout_s=0.5)


def test_directory_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")

    with pytest.raises(DependencyUnavailableError):
        ChromaDatabase.embedded(tmp_path / "file" / "chroma")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MALLOC_PERTURB_": "165"}, True),
        ({"GLIBC_TUNABLES": "glibc.malloc.check=1:glibc.malloc.perturb=7"}, True),
        ({"MALLOC_PERTURB_": "0"}, False),
        ({}, False),
    ],
)
def test_heap_setting_is_read_as_the_process_began(
    variables: dict[str, str], *, expected: bool
) -> None:
    kept = {k: v for k, v in os.environ.items() if k not in {"MALLOC_PERTURB_", "GLIBC_TUNABLES"}}
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=kept | variables) as process:
        assert process.stdout is not None
        process.stdout.readline()  # before its first line Linux may show no environment yet
        assert is_heap_overwritten(process.pid) is expected


def test_heap_setting_is_unknown_when_there_is_no_such_process() -> None:
    assert is_heap_overwritten(2**22 + 1) is None


def test_program_starts_anew_when_its_heap_is_not_overwritten() -> None:
    code = """if True:
        import sys
        from app.adapters.chroma.heap import is_heap_overwritten, require_overwritten_heap
        require_overwritten_heap()
        print(is_heap_overwritten(), *sys.argv[1:])
    """
    kept = {k: v for k, v in os.environ.items() if k != "MALLOC_PERTURB_"}
    command = [sys.executable, "-c", code, "an argument", "--flag"]
    for variables, expected in (({}, True), ({"MALLOC_PERTURB_": "0"}, False)):
        done = subprocess.run(
            command, env=kept | variables, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == f"{expected} an argument --flag"
