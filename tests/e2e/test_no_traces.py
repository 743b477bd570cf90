"""After an erasure, the user's id is in no log, no table, no queue and no file: both modes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.db import schema
from app.bootstrap.data_inventory import Store
from tests.e2e.calls import Api, calling, interactions, user
from tests.e2e.processes import QUICK, Running, serving, working
from tests.places import Walk
from tests.servers.chroma import running_chroma
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

OTHERS = range(12)
GONE = 12


def _tour(api: Api) -> None:
    """Live a life of one user through the API, wrong turns included, and forget them."""
    api.load([*OTHERS, GONE])
    name = user(GONE)
    assert api.recommend(name)["personalised"]
    assert api.send("GET", f"/recommend/{name}", params={"n": 0}).status_code == 422
    broken = interactions(GONE)[0] | {"item_id": "nowhere"}
    assert api.send("POST", "/interactions", json=[broken]).status_code == 422
    assert api.send("GET", f"/nowhere/{name}/x").status_code == 404

    accepted = api.forget(name, key=f"key-of-{name}")
    stranger = api.recommend("a-stranger@example.org")

    assert api.recommend(name) | {"user": ""} == stranger | {"user": ""}
    assert api.completed(accepted["request_id"])["completed_at"]
    assert api.recommend(name) | {"user": ""} == stranger | {"user": ""}
    leaves = api.ask("GET", "/admin/audit", as_admin=True, params={"limit": 1000})["leaves"]
    assert any(
        '"forget.completed"' in leaf["body"] and accepted["request_id"] in leaf["body"]
        for leaf in leaves
    )


def _files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


def _assert_unseen(folder: Path) -> None:
    """Look for the user's id, and for the control that the search can find anything."""
    found_control = False
    for path, raw in _files(folder):
        assert user(GONE).encode() not in raw, path
        found_control |= b"recommend" in raw
    assert found_control


def test_embedded_nothing_names_the_user(tmp_path: Path) -> None:
    environment = QUICK | {"LETHE_DATA_DIR": str(tmp_path / "data"), "LETHE_LOG__LEVEL": "debug"}

    with serving(environment, folder=tmp_path) as server, calling(server.url) as api:
        _tour(api)

    _assert_unseen(tmp_path)
    walk = Walk()
    walk.files(tmp_path / "data")
    assert walk.unowned == []


@contextmanager
def _distributed(environment: Mapping[str, str], folder: Path) -> Iterator[Running]:
    with serving(environment, folder=folder) as server, working(environment, folder=folder):
        yield server


def _queue_content(address: str) -> bytes:
    client = redis.Redis.from_url(address)
    try:
        dumped = b""
        for key in client.scan_iter("*"):
            dumped += key + (client.dump(key) or b"")
        return dumped
    finally:
        client.close()


@pytest.mark.timeout(240)
def test_distributed_nothing_names_the_user(
    tmp_path: Path, postgres_server: PostgresServer, redis_server: RedisServer
) -> None:
    (tmp_path / "chroma").mkdir()
    queue, walk = redis_server.database(7), Walk()
    with (
        postgres_server.database() as database,
        running_chroma(tmp_path / "chroma") as chroma,
    ):
        environment = QUICK | {
            "LETHE_DATA_DIR": str(tmp_path / "data"),
            "LETHE_DATABASE__URL": database.replace("postgresql://", "postgresql+psycopg://"),
            "LETHE_VAULT__URL": f"sqlite:///{tmp_path / 'data' / 'vault.db'}",
            "LETHE_CHROMA__URL": chroma.url,
            "LETHE_CHROMA__PERSIST_DIR": str(tmp_path / "chroma"),
            "LETHE_REDIS__URL": queue,
            "LETHE_QUEUE": "celery",
            "LETHE_LOG__LEVEL": "debug",
        }
        schema.upgrade(database)
        with _distributed(environment, tmp_path) as server, calling(server.url) as api:
            _tour(api)
            content = _queue_content(queue)
            walk.keys(queue)
            walk.tables(database, f"sqlite:///{tmp_path / 'data' / 'vault.db'}")
            walk.files(tmp_path / "chroma", below="chroma/")
            walk.files(tmp_path / "data")
            with ChromaDatabase.server(chroma.url) as client:
                walk.collections(client)
        assert walk.unowned == []
        assert {Store.QUEUE, Store.MEMORY, Store.ROWS, Store.VAULT} <= walk.stores()
        assert user(GONE).encode() not in content
    _assert_unseen(tmp_path)
