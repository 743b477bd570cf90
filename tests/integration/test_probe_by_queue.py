"""A search that a process away from the files asks a worker for: over a real Redis."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from app.adapters.probe.by_queue import QueuedProbe, answer_search
from app.adapters.probe.process import FileProbe
from app.adapters.probe.stores import ProbedStore, StoreFormat
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


def test_a_worker_finds_for_another_what_it_would_find_for_itself(
    client: redis.Redis, files: FileProbe
) -> None:
    waiting: list[bytes] = []
    untyped: Any = client  # redis-py's annotations mix synchronous and asynchronous answers

    def work(search_id: str) -> None:
        waiting.extend(untyped.get(key) for key in untyped.scan_iter("lethe:search:*"))
        answer = {"client": client, "probe": files, "key": KEY}
        threading.Thread(target=answer_search, args=(search_id,), kwargs=answer).start()

    away = QueuedProbe(client, ring=work, key=KEY, timeout_s=30)
    found = away.search([GONE, LEFT], control=CANARY)

    assert [[one.residue for one in reports] for reports in found] == [[0], [1]]
    assert all(one.control_found for reports in found for one in reports)
    assert waiting
    assert all(b"b" * 16 not in sealed for sealed in waiting)
    assert client.keys("lethe:*") == []


def test_without_a_worker_the_search_says_so_and_leaves_nothing_behind(client: redis.Redis) -> None:
    asked: list[str] = []
    away = QueuedProbe(client, ring=asked.append, key=KEY, timeout_s=1)

    with pytest.raises(DependencyUnavailableError, match="no worker"):
        away.search([GONE], control=CANARY)

    assert asked
    assert client.keys("lethe:*") == []


def test_files_that_cannot_be_read_are_no_clean_search(client: redis.Redis, tmp_path: Path) -> None:
    control = frozenset({NeedleKind.PSEUDONYM})
    absent = ProbedStore("memory", StoreFormat.SQLITE, tmp_path / "absent", control)
    broken = FileProbe([absent])

    def work(search_id: str) -> None:
        answer_search(search_id, client=client, probe=broken, key=KEY)

    with pytest.raises(DependencyUnavailableError, match="could not read"):
        QueuedProbe(client, ring=work, key=KEY, timeout_s=30).search([GONE], control=CANARY)
