"""Several Chroma servers as one memory: where shards lie, move, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.layout import memory_family, shard_of
from app.adapters.chroma.memory import ChromaMemoryStore
from app.adapters.chroma.servers import home_of, require_all
from app.adapters.probe.process import FileProbe
from app.domain.errors import DependencyUnavailableError, IntegrityError, InvalidInputError
from app.ports.memory_store import Memory
from tests.planted import a_user, an_order, chroma_files, memories_of, needles_of
from tests.servers.chroma import RunningChroma, started_chroma
from tests.several_chromas import N_SHARDS, NODES, all_there, alone, at_home, beside, lying, people

pytestmark = pytest.mark.chroma


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, RunningChroma]]:
    with ExitStack() as stack:
        yield {node: stack.enter_context(started_chroma(tmp_path / node)) for node in NODES}


def test_a_node_more_takes_its_share_and_nothing_else_moves() -> None:
    families = [memory_family(shard) for shard in range(1_024)]
    three = [f"chroma-{number}" for number in range(3)]
    before = {family: home_of(family, nodes=three) for family in families}
    after = {family: home_of(family, nodes=[*three, "chroma-3"]) for family in families}

    moved = [family for family in families if before[family] != after[family]]

    assert {after[family] for family in moved} == {"chroma-3"}
    assert 200 < len(moved) < 312
    assert all(200 < n < 312 for n in Counter(after.values()).values())


def test_shards_lie_at_home_and_are_read_from_anywhere(servers: dict[str, RunningChroma]) -> None:
    users = people()
    with beside(servers, "chroma-0") as store:
        store.add([memory for one in users for memory in one])
    assert [lying(servers[node]) for node in NODES] == [at_home(node) for node in NODES]

    with beside(servers, None) as store:
        assert all_there(store, users)
        assert store.size() == sum(map(len, users))
        assert store.misplaced() == []


def test_nothing_is_left_on_any_server_when_users_of_both_are_erased(
    servers: dict[str, RunningChroma],
) -> None:
    users = people()
    with beside(servers, "chroma-1") as store:
        store.add([memory for one in users for memory in one])
        gone = users[::2]
        for one in gone:
            store.erase(an_order(one))
        store.maintain([one[0].pseudonym for one in gone])
        controls = store.controls()

        assert all_there(store, users[1::2])
        assert not any(store.count(an_order(one)) for one in gone)
        again = store.controls()
    assert [one.record_id for one in again] == [one.record_id for one in controls]
    assert len({one.record_id for one in controls}) == len(NODES)
    needles = [needles_of(one, is_whole_user=True) for one in gone]
    stores = [chroma_files(one.directory) for one in servers.values() if one.directory is not None]
    canary = needles_of(controls)
    for reports in FileProbe(stores).search(needles, control=canary):
        assert all(report.is_clean for report in reports), reports


def test_shards_move_when_a_server_is_added_and_leave_nothing(
    servers: dict[str, RunningChroma],
) -> None:
    users = people()
    first = servers["chroma-0"]
    with alone(first) as store:
        store.add([memory for one in users for memory in one])
        store.set_mark(7)
    with beside(servers, "chroma-0") as store:
        assert store.mark() == 7
        assert set(store.misplaced()) == at_home("chroma-1")

        store.reindex(store.misplaced())

        assert store.misplaced() == []
        assert all_there(store, users)
        store.set_mark(8)
        moved = [
            memory
            for one in users
            for memory in one
            if shard_of(memory.pseudonym, n_shards=N_SHARDS) in at_home("chroma-1")
        ]
        with pytest.raises(InvalidInputError, match="another server"):
            store.reindex(sorted(at_home("chroma-1"))[:1])
        canary = needles_of(store.controls())
    assert [lying(servers[node]) for node in NODES] == [at_home(node) for node in NODES]
    assert first.directory is not None
    (reports,) = FileProbe([chroma_files(first.directory)]).search(
        [needles_of(moved, is_whole_user=True)], control=canary
    )
    assert all(report.is_clean for report in reports), reports
    with (
        ChromaDatabase.server(first.url) as database,
        pytest.raises(IntegrityError, match="chroma-1"),
    ):
        require_all({"chroma-0": database})


def test_nothing_is_lost_when_shards_move_under_traffic(
    servers: dict[str, RunningChroma],
) -> None:
    users = people()
    arrived: list[list[Memory]] = []
    is_over = threading.Event()
    with alone(servers["chroma-0"]) as store:
        store.add([memory for one in users for memory in one])

    def traffic(store: ChromaMemoryStore) -> None:
        while not is_over.is_set():
            fresh = memories_of(a_user(), n=2)
            store.add(fresh)
            arrived.append(fresh)
            assert all_there(store, users[1::2])

    with beside(servers, "chroma-0") as mover, beside(servers, None) as other:
        thread = threading.Thread(target=traffic, args=(other,))
        thread.start()
        for one in users[::2]:
            mover.erase(an_order(one))
        mover.reindex(mover.misplaced())
        is_over.set()
        thread.join()
        assert mover.misplaced() == []
        assert arrived
        assert all_there(mover, [*users[1::2], *arrived])
        assert not any(mover.count(an_order(one)) for one in users[::2])


_MOVER = """if True:
    import sys
    from pathlib import Path
    from app.adapters.chroma.client import ChromaDatabase
    from app.adapters.chroma.layout import CollectionSpec
    from app.adapters.chroma.memory import ChromaMemoryStore
    from app.adapters.chroma.servers import ChromaServers
    first, second, directory = sys.argv[1:]
    databases = {
        "chroma-0": ChromaDatabase.server(first, directory=Path(directory)),
        "chroma-1": ChromaDatabase.server(second),
    }
    spec = CollectionSpec("test-embedder", 32, n_shards=8)
    store = ChromaMemoryStore(ChromaServers(databases), spec=spec)
    print("moving", flush=True)
    store.reindex(store.misplaced())
"""


def test_a_move_goes_on_wherever_it_was_killed(servers: dict[str, RunningChroma]) -> None:
    users = people()
    first, second = servers["chroma-0"], servers["chroma-1"]
    with alone(first) as store:
        store.add([memory for one in users for memory in one])
    command = [sys.executable, "-c", _MOVER, first.url, second.url, str(first.directory)]
    for more_s in (0.0, 0.3, 0.6, 0.9, 1.2, 1.5):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, env=os.environ, start_new_session=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                process.wait(more_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        with beside(servers, None) as store:
            assert all_there(store, users)

    with beside(servers, "chroma-0") as store:
        store.reindex(store.misplaced())
        store.maintain([users[0][0].pseudonym])

        assert all_there(store, users)
        assert store.size() == sum(map(len, users))
        assert store.misplaced() == []
    assert [lying(servers[node]) for node in NODES] == [at_home(node) for node in NODES]


def test_the_others_are_read_while_a_server_is_down(servers: dict[str, RunningChroma]) -> None:
    users = people()
    with beside(servers, None) as store:
        store.add([memory for one in users for memory in one])
        pid = servers["chroma-1"].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            for one in users:
                ids = [memory.record_id for memory in one]
                user = one[0].pseudonym
                if shard_of(user, n_shards=N_SHARDS) in at_home("chroma-0"):
                    assert len(store.vectors(user, ids, within_s=5.0)) == len(one)
                else:
                    with pytest.raises(DependencyUnavailableError):
                        store.vectors(user, ids, within_s=0.5)
        finally:
            os.kill(pid, signal.SIGCONT)
