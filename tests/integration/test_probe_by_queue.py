"""A search that a process away from the files asks a worker for: over a real Redis."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from app.adapters.chroma.maintenance import DATABASE_FILE, LOCK_FILE, locked
from app.adapters.probe import by_queue
from app.adapters.probe.by_queue import Files, Node, NodeFiles, ProbeOfAll, QueuedProbe
from app.adapters.probe.messages import decode_reports, encode_asked
from app.adapters.probe.process import STAYS, FileProbe, StayingProcess
from app.adapters.probe.stores import Asked, ProbedStore, StoreFormat
from app.adapters.queue.inline import PeriodicTask
from app.domain.erasure.residue import NeedleKind, Needles
from app.domain.errors import DependencyUnavailableError
from tests.e2e.processes import wait_for
from tests.servers.redis import RedisServer

KEY = secrets.token_bytes(32)
GONE = Needles(pseudonyms=("a" * 64,))
LEFT = Needles(pseudonyms=("b" * 64,))
CANARY = Needles(pseudonyms=("c" * 64,))


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    made = redis.Redis.from_url(redis_server.database(9), socket_timeout=5)
    yield made
    made.flushdb()
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with what is left of one user, and with the canary."""
    made = tmp_path / "store"
    made.mkdir()
    (made / "page").write_bytes(b"..." + b"b" * 64 + b"..." + b"c" * 64)
    return made


@pytest.fixture
def files(folder: Path) -> Iterator[StayingProcess]:
    with closing(process_over(folder)) as made:
        yield made


def process_over(
    folder: Path, *, name: str = "memory", form: StoreFormat = StoreFormat.DIRECTORY
) -> StayingProcess:
    control = frozenset({NeedleKind.PSEUDONYM})
    return StayingProcess(folder, stores=[ProbedStore(name, form, folder, control)])


class Counted:
    """A node's files, with what each pass over them was asked; the first waits to be let go."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.may_go_on = threading.Event()
        self.passes: list[int] = []
        self.cleanings = 0

    def clean(self) -> bytes:
        self.cleanings += 1
        self.may_go_on.wait(30)
        return b"[]"

    def search(self, asked: Sequence[bytes]) -> list[bytes]:
        found = self._files.search(asked)
        self.passes.append(len(asked))
        self.may_go_on.wait(30)
        return found


@contextmanager
def working(node: str, client: redis.Redis, files: Files) -> Iterator[None]:
    """Let a worker of a node do what is asked for during the block."""
    task = PeriodicTask(
        "node-files", NodeFiles(node, client, files=files, key=KEY).serve, interval_s=0.01
    )
    task.start()
    try:
        yield
    finally:
        task.stop()


def memory_of(pid: int) -> bytes:
    """What a process of ours can write to."""
    found = bytearray()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            bounds, rights, *_ = line.split()
            if rights.startswith("rw") and "[v" not in line:
                begin, end = (int(bound, 16) for bound in bounds.split("-"))
                memory.seek(begin)
                found += memory.read(end - begin)
    return bytes(found)


def asked_for(client: redis.Redis, n: int) -> None:
    """Wait until so many wait for a node."""
    wait_for("they wait", lambda: client.llen("lethe:work:chroma-0") == n)


def test_a_worker_finds_for_another_what_it_would_find_for_itself(
    client: redis.Redis, files: StayingProcess
) -> None:
    waiting: list[bytes] = []
    untyped: Any = client  # redis-py's annotations mix synchronous and asynchronous answers
    away = QueuedProbe(Node("chroma-0", client, key=KEY), timeout_s=30)

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(away.search, [GONE, LEFT], control=CANARY)
        while not waiting:
            waiting.extend(untyped.get(key) for key in untyped.scan_iter("lethe:search:*"))
        with working("chroma-0", client, files):
            found = asked.result()

    assert [[one.residue for one in reports] for reports in found] == [[0], [1]]
    assert all(one.control_found for reports in found for one in reports)
    assert all(b"b" * 16 not in sealed for sealed in waiting)
    assert client.keys("lethe:*") in ([], [b"lethe:here:chroma-0"])


def test_one_pass_serves_all_who_wait_and_finds_for_each_what_is_left_of_theirs(
    client: redis.Redis, files: StayingProcess, folder: Path
) -> None:
    (folder / "more").write_bytes(b"..." + b"d" * 64)
    left = {letter: Needles(pseudonyms=(letter * 64,)) for letter in "bd"}
    asked = [[GONE], [left["b"]], [left["d"], GONE], [GONE, left["b"]]]
    away = QueuedProbe(Node("chroma-0", client, key=KEY), timeout_s=30)
    counted = Counted(files)
    counted.may_go_on.set()

    with ThreadPoolExecutor(len(asked)) as pool:
        waiting = [pool.submit(away.search, groups, control=CANARY) for groups in asked]
        asked_for(client, len(asked))
        with working("chroma-0", client, counted):
            found = [one.result() for one in waiting]

    assert counted.passes == [len(asked)]
    residue = [[reports[0].residue for reports in one] for one in found]
    assert residue == [[0], [1], [1, 0], [0, 1]]
    assert all(reports[0].control_found for one in found for reports in one)


def test_a_control_that_is_not_there_is_missed_by_who_asked_for_it_alone(
    client: redis.Redis, files: StayingProcess
) -> None:
    away = QueuedProbe(Node("chroma-0", client, key=KEY), timeout_s=30)

    with ThreadPoolExecutor(2) as pool:
        waiting = [
            pool.submit(away.search, [GONE], control=control)
            for control in (CANARY, Needles(pseudonyms=("e" * 64,)))
        ]
        asked_for(client, 2)
        with working("chroma-0", client, files):
            ((with_it,),), ((without,),) = (one.result() for one in waiting)

    assert with_it.is_clean
    assert not without.control_found
    assert not without.is_clean


def test_who_asks_during_a_pass_is_served_by_the_next(
    client: redis.Redis, files: StayingProcess, folder: Path
) -> None:
    """What comes into the files during a pass is found for who asks after it."""
    node = Node("chroma-0", client, key=KEY)
    away = QueuedProbe(node, timeout_s=30)
    counted = Counted(files)

    with ThreadPoolExecutor(4) as pool, working("chroma-0", client, counted):
        first = pool.submit(away.search, [GONE], control=CANARY)
        wait_for("a pass has begun", lambda: len(counted.passes) == 1)
        (folder / "late").write_bytes(b"..." + b"a" * 64)
        later = [pool.submit(away.search, [GONE], control=CANARY) for _ in range(2)]
        cleaning = pool.submit(node.clean)
        asked_for(client, 3)
        counted.may_go_on.set()
        found = [one.result()[0][0].residue for one in (first, *later)]

        assert cleaning.result() == b"[]"
    assert counted.passes == [1, 2]
    assert found == [0, 1, 1]


def test_one_cleaning_serves_who_had_asked_when_it_began(
    client: redis.Redis, files: StayingProcess
) -> None:
    node, counted = Node("chroma-0", client, key=KEY), Counted(files)

    with ThreadPoolExecutor(4) as pool:
        early = [pool.submit(node.clean) for _ in range(3)]
        asked_for(client, 3)
        with working("chroma-0", client, counted):
            wait_for("it has begun", lambda: counted.cleanings == 1)
            late = pool.submit(node.clean)
            asked_for(client, 1)
            counted.may_go_on.set()
            for one in (*early, late):
                one.result()

    assert counted.cleanings == 2


def test_who_asks_for_what_cannot_be_read_harms_nobody_else(
    client: redis.Redis, files: StayingProcess
) -> None:
    node = Node("chroma-0", client, key=KEY)

    with ThreadPoolExecutor(2) as pool:
        away = QueuedProbe(node, timeout_s=30)
        asked = pool.submit(away.search, [GONE], control=CANARY)
        wrong = pool.submit(node.ask, b"no task at all", timeout_s=30)
        asked_for(client, 2)
        with working("chroma-0", client, files):
            ((report,),), refused = asked.result(), wrong.result()

    assert report.is_clean
    assert refused == b"failed"


def test_without_a_worker_the_search_says_so_and_leaves_nothing_behind(client: redis.Redis) -> None:
    away = QueuedProbe(Node("chroma-0", client, key=KEY), timeout_s=1)

    with pytest.raises(DependencyUnavailableError, match="no worker"):
        away.search([GONE], control=CANARY)

    untyped: Any = client
    assert client.keys("lethe:search:*") == []
    assert all(1 <= untyped.pttl(key) <= 1_000 for key in untyped.keys("lethe:*"))


@pytest.mark.parametrize("is_taken", [True, False])
def test_what_nobody_works_on_any_more_is_given_up(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, *, is_taken: bool
) -> None:
    """A worker was killed with it in hand, or the broker has lost it."""
    monkeypatch.setattr(by_queue, "_LOST_LOOKS", 2)
    node = Node("chroma-0", client, key=KEY)
    if not is_taken:
        client.set("lethe:here:chroma-0", "", ex=60)

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(node.ask, b"clean", timeout_s=60)
        asked_for(client, 1)
        untyped: Any = client
        client.delete("lethe:work:chroma-0", *untyped.keys("lethe:search:*"))
        with pytest.raises(DependencyUnavailableError, match="no worker"):
            asked.result(timeout=10)


def test_files_that_cannot_be_read_are_no_clean_search(client: redis.Redis, tmp_path: Path) -> None:
    away = QueuedProbe(Node("chroma-0", client, key=KEY), timeout_s=30)

    with (
        closing(process_over(tmp_path / "absent", form=StoreFormat.SQLITE)) as absent,
        working("chroma-0", client, absent),
        pytest.raises(DependencyUnavailableError, match="could not read"),
    ):
        away.search([GONE], control=CANARY)


def test_nothing_of_what_was_sought_stays_in_the_process_that_stays(files: StayingProcess) -> None:
    sought = secrets.token_hex(32)
    files.search([encode_asked(Asked([Needles(pseudonyms=(sought,))], CANARY))])
    assert files.pid is not None

    memory = memory_of(files.pid)

    assert STAYS.encode() in memory  # what is there is found
    assert sought.encode() not in memory


def test_a_process_that_was_killed_is_started_again(files: StayingProcess) -> None:
    task = encode_asked(Asked([GONE, LEFT], CANARY))
    first = files.search([task])
    assert files.pid is not None

    os.killpg(files.pid, signal.SIGKILL)
    wait_for("it is gone", lambda: "Z" in Path(f"/proc/{files.pid}/stat").read_text())

    with pytest.raises(DependencyUnavailableError, match="worked on"):
        files.search([task])
    assert [
        [one.residue for one in group] for group in decode_reports(files.search([task])[0])
    ] == [[one.residue for one in group] for group in decode_reports(first[0])]


def test_a_process_that_takes_too_long_is_ended(folder: Path) -> None:
    (folder / DATABASE_FILE).touch()
    with closing(StayingProcess(folder, stores=[], timeout_s=2.0)) as files:
        with (
            locked(folder / LOCK_FILE),
            pytest.raises(DependencyUnavailableError, match="worked on"),
        ):
            files.clean()

        assert files.pid is None


def test_every_node_searches_its_own_files_and_cleans_them(
    client: redis.Redis, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "page").write_bytes(b"a" * 64 + b"..." + b"c" * 64)
    here = FileProbe(
        [ProbedStore("memory", StoreFormat.DIRECTORY, folder, frozenset({NeedleKind.PSEUDONYM}))]
    )
    node = Node("chroma-1", client, key=KEY)

    with closing(process_over(other, name="memory on chroma-1")) as there:
        counted = Counted(there)
        counted.may_go_on.set()
        with working("chroma-1", client, counted):
            found = ProbeOfAll([here, QueuedProbe(node)]).search([GONE, LEFT], control=CANARY)
            cleaned = node.clean()

    assert [[one.residue for one in reports] for reports in found] == [[0, 1], [1, 0]]
    assert [one.store for one in found[0]] == ["memory", "memory on chroma-1"]
    assert cleaned == b"[]"
