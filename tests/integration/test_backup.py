"""The drill: back up, erase, lose stores, restore; nobody comes back, and nobody else is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.adapters.db import schema
from app.bootstrap.backup import back_up, restore
from app.domain.audit.succession import Why
from app.domain.erasure.scope import AllScope
from app.domain.errors import ConflictError, IntegrityError
from app.domain.models import ItemId
from app.services.erasure.requests import ForgetCommand
from app.services.recommendation.query import RecommendQuery
from app.settings import Settings
from app.settings_chroma import ChromaSettings
from app.settings_groups import DatabaseSettings, VaultSettings
from tests.servers.chroma import running_chroma
from tests.servers.postgres import PostgresServer
from tests.world import World, catalogue, open_world, settings_for

SEA = [f"sea-{number:02d}" for number in range(4)]
Lose = Callable[[str], None]


class Place:
    """A deployment whose stores can be lost one by one."""

    def __init__(self, folder: Path, lose: Lose, changes: dict[str, Any]) -> None:
        self.folder = folder
        self.lose = lose
        self.changes = changes

    @property
    def settings(self) -> Settings:
        return settings_for(self.folder, **self.changes)

    @contextmanager
    def opened(self) -> Iterator[World]:
        with open_world(self.folder, **self.changes) as world:
            world.container.feed.start()
            yield world
            world.container.feed.stop()


def remove(folder: Path, name: str) -> None:
    for path in folder.glob(f"{name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def embedded(tmp_path: Path) -> Place:
    folder = tmp_path / "data"
    names = {"rows": "lethe.db", "vault": "vault.db", "memory": "chroma", "keys": "keys"}
    return Place(folder, lambda store: remove(folder, names[store]), {})


@pytest.fixture
def on_servers(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "data"
    with (
        postgres_server.database() as rows,
        postgres_server.database() as vault,
        running_chroma(tmp_path / "chroma") as chroma,
    ):
        schema.upgrade(rows)
        changes: dict[str, Any] = {
            "database": DatabaseSettings(url=SecretStr(rows)),
            "vault": VaultSettings(url=SecretStr(vault)),
            "chroma": ChromaSettings(url=chroma.url, persist_dir=chroma.directory, n_shards=2),
        }

        def lose(store: str) -> None:
            if store == "keys":
                remove(folder, "keys")
                return
            url = {"rows": rows, "vault": vault}[store]
            postgres_server.empty(url)

        yield Place(folder, lose, changes)


@pytest.fixture(params=["embedded", pytest.param("on_servers", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


def fill(place: Place) -> None:
    with place.opened() as world:
        world.container.catalogue.upsert(catalogue())
        for name in ("anna", "bert", "carl"):
            world.read(name, SEA)
        world.note("carl", "whales and storms")


def forget(world: World, name: str) -> None:
    command = ForgetCommand(pseudonym=world.user(name), scope=AllScope())
    assert world.erase(world.container.forget.accept(command).request.request_id)


def finish(world: World) -> None:
    """Do what the background threads do after a start."""
    while not world.container.restore.check():
        world.settle()
        world.container.sweep.sweep(take_over_after_s=0.0)
    world.container.sweep.sweep(take_over_after_s=0.0)


def items(world: World, name: str) -> set[str | None]:
    with world.adapters.uows.read() as uow:
        history = uow.interactions.history(world.user(name), with_texts=False)
    return {entry.item_id for entry in history}


def listed(world: World, name: str) -> list[tuple[ItemId, float]]:
    query = RecommendQuery(pseudonym=world.user(name), n=10)
    found = world.container.recommend.recommend(query)
    return [(one.item.item_id, one.score) for one in found.items]


def test_rows_that_come_back_have_forgotten_whom_the_vault_knows_to_be_erased(
    place: Place, tmp_path: Path
) -> None:
    fill(place)
    with place.opened() as world:
        forget(world, "bert")
    back_up(place.settings, tmp_path / "backup")
    with place.opened() as world:
        forget(world, "anna")
        before = listed(world, "carl")
        words = world.adapters.memory.size()
    place.lose("rows")

    told = restore(place.settings, tmp_path / "backup")

    assert told == {"rows": True, "vault": False, "keys": False}
    with place.opened() as world:
        assert world.container.prove.prove(world.user("bert")).is_as_never_seen
        assert not world.container.restore.is_open
        finish(world)
        assert items(world, "anna") == set()
        assert items(world, "carl") == {*SEA, None}
        assert listed(world, "carl") == before
        assert world.adapters.memory.size() == words
        assert world.container.audit_check.check().is_whole


def test_when_everything_is_lost_memories_are_made_anew_and_the_log_goes_on_as_a_successor(
    embedded: Place, tmp_path: Path
) -> None:
    fill(embedded)
    with embedded.opened() as world:
        forget(world, "dora")
    back_up(embedded.settings, tmp_path / "backup")
    with embedded.opened() as world:
        forget(world, "anna")  # signed, and lost with the rest
        forget(world, "bert")
    with embedded.opened() as world:
        before = listed(world, "carl")
    for store in ("rows", "vault", "memory", "keys"):
        embedded.lose(store)

    told = restore(embedded.settings, tmp_path / "backup")

    assert all(told.values())
    with embedded.opened() as world:
        finish(world)
        assert items(world, "carl") == {*SEA, None}
        for name in ("anna", "bert"):
            forget(world, name)
        assert listed(world, "carl") == before
        (succession,) = world.container.succession.history()
        assert succession.why == Why.COPIED


def test_a_backup_that_was_changed_is_refused_and_nothing_is_touched(
    embedded: Place, tmp_path: Path
) -> None:
    fill(embedded)
    back_up(embedded.settings, tmp_path / "backup")
    with pytest.raises(ConflictError):
        back_up(embedded.settings, tmp_path / "backup")
    file = tmp_path / "backup" / "rows"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    embedded.lose("rows")

    with pytest.raises(IntegrityError, match="not what was written: rows"):
        restore(embedded.settings, tmp_path / "backup")

    assert not (embedded.folder / "lethe.db").exists()


def test_a_backup_opens_nothing_without_the_secrets_that_are_kept_apart(
    embedded: Place, tmp_path: Path
) -> None:
    fill(embedded)
    back_up(embedded.settings, tmp_path / "backup")

    files = [path for path in (tmp_path / "backup").rglob("*") if path.is_file()]
    secrets = [(embedded.folder / name).read_text().strip() for name in ("pepper", "kek")]

    raw = b"".join(path.read_bytes() for path in files)
    assert [one for one in (*secrets, "whales and storms") if one.encode() in raw] == []
    assert not (tmp_path / "backup").stat().st_mode & 0o077
