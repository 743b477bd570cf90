"""A search that a process away from the files asks a worker for: over a real Redis."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from app.adapters.probe.by_queue import Node, NodeFiles, ProbeOfAll, QueuedProbe
from app.adapters.probe.process import FileProbe
from app.adapters.probe.stores import ProbedStore, StoreFormat
from app.adapters.queue.inline import PeriodicTask
from app.domain.erasure.residue import NeedleKind, Needles
from app.domain.errors import DependencyUnavailableError
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
def files(tmp_path: Path) -> FileProbe:
    (tmp_path / "page").write_bytes(b"..." + b"b" * 64 + b"..." + b"c" * 64)
    control = frozenset({NeedleKind.PSEUDONYM})
    return FileProbe([ProbedStore("memory", StoreFormat.DIRECTORY, tmp_path, control)])


@contextmanager
def working(node: str, client: redis.Redis, probe: FileProbe, clean: bytes = b"") -> Iterator[None]:
    """Let a worker of a node do what is asked for during the block."""
    files = NodeFiles(node, client, probe=probe, clean=lambda: clean, key=KEY)
    task = PeriodicTask("node-files", files.serve, interval_s=0.01)
    task.start()
    try:
        yield
    finally:
        task.stop()


def test_a_worker_finds_for_another_what_it_would_find_for_itself(
    client: redis.Redis, files: FileProbe
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
    assert client.keys("lethe:*") == []


def test_without_a_worker_the_search_says_so_and_leaves_nothing_behind(client: redis.Redis) -> None:
    away = QueuedProbe(Node("chroma-0", client, key=KEY), timeout_s=1)

    with pytest.raises(DependencyUnavailableError, match="no worker"):
        away.search([GONE], control=CANARY)

    untyped: Any = client
    assert client.keys("lethe:search:*") == []
    assert all(1 <= untyped.pttl(key) <= 1_000 for key in untyped.keys("lethe:*"))


def test_files_that_cannot_be_read_are_no_clean_search(client: redis.Redis, tmp_path: Path) -> None:
    control = frozenset({NeedleKind.PSEUDONYM})
    absent = ProbedStore("memory", StoreFormat.SQLITE, tmp_path / "absent", control)
    away = QueuedProbe(Node("chroma-0", client, key=KEY), timeout_s=30)

    with (
        working("chroma-0", client, FileProbe([absent])),
        pytest.raises(DependencyUnavailableError, match="could not read"),
    ):
        away.search([GONE], control=CANARY)


def test_every_node_searches_its_own_files_and_cleans_them(
    client: redis.Redis, files: FileProbe, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "page").write_bytes(b"a" * 64 + b"..." + b"c" * 64)
    control = frozenset({NeedleKind.PSEUDONYM})
    there = FileProbe([ProbedStore("memory on chroma-1", StoreFormat.DIRECTORY, other, control)])
    node = Node("chroma-1", client, key=KEY)

    with working("chroma-1", client, there, b"[]"):
        found = ProbeOfAll([files, QueuedProbe(node)]).search([GONE, LEFT], control=CANARY)
        cleaned = node.clean()

    assert [[one.residue for one in reports] for reports in found] == [[1, 1], [1, 0]]
    assert [one.store for one in found[0]] == ["memory", "memory on chroma-1"]
    assert cleaned == b"[]"
