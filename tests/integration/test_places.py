"""Every place of a running system has an owner, and one that has none is seen."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.db.audit_tables import metadata
from app.adapters.db.maintenance import PERSONAL_TABLES
from app.bootstrap.data_inventory import InventoryKind, Store, owner_of
from app.bootstrap.deployment import deployment_of
from app.domain.erasure.scope import AllScope
from app.services.erasure.requests import ForgetCommand
from tests.places import Walk
from tests.world import open_world, settings_for


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of a life: readers, one of whom was erased."""
    folder = tmp_path_factory.mktemp("places")
    with open_world(folder) as world:
        world.populate()
        command = ForgetCommand(pseudonym=world.user("reader-1"), scope=AllScope())
        assert world.erase(world.container.forget.accept(command).request.request_id)
        world.container.feed.stop()
    return folder


def walked(folder: Path) -> Walk:
    walk = Walk()
    walk.files(folder)
    walk.tables(f"sqlite:///{folder / 'lethe.db'}", f"sqlite:///{folder / 'vault.db'}")
    with ChromaDatabase.embedded(folder / "chroma") as chroma:
        walk.collections(chroma)
    return walk


def test_every_place_has_an_owner(folder: Path) -> None:
    walk = walked(folder)

    assert walk.unowned == []
    assert walk.stores() == set(Store) - {Store.CACHE, Store.QUEUE}
    assert {kind for kind, _ in walk.met} == set(InventoryKind) - {InventoryKind.REDIS_KEY}


def test_a_place_without_an_owner_is_seen(folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(folder, tmp_path / "data")
    with closing(sqlite3.connect(folder / "lethe.db")) as connection, connection:
        connection.execute("CREATE TABLE opinion (pseudonym TEXT)")
    (folder / "export.ndjson").write_text("{}")
    (folder / "chroma" / "chroma.sqlite3.bak").write_bytes(b"")
    (folder / "chroma" / "lethe-fill.new").write_text("[")  # of a maintenance that was killed
    with ChromaDatabase.embedded(folder / "chroma") as chroma:
        client = chroma._client  # noqa: SLF001 - ours makes no collection of another name
        client.create_collection("somebody-elses", embedding_function=None)

    assert walked(folder).unowned == [
        (InventoryKind.COLLECTION, "somebody-elses"),
        (InventoryKind.FILE, "chroma/chroma.sqlite3.bak"),
        (InventoryKind.FILE, "export.ndjson"),
        (InventoryKind.TABLE, "opinion"),
    ]


@pytest.mark.parametrize("name", ["lethe:session:1", "lethe:cache:anna", "celery-task-meta-1"])
def test_a_redis_key_without_an_owner_is_seen(name: str) -> None:
    assert owner_of(InventoryKind.REDIS_KEY, name) is None


def test_the_certificate_names_the_files_that_the_probe_cannot_read(tmp_path: Path) -> None:
    server = {"url": "postgresql+psycopg://lethe:secret@db/lethe"}
    embedded = settings_for(tmp_path)
    distributed = settings_for(tmp_path, database=server, vault=server)

    here, there = deployment_of(embedded), deployment_of(distributed)
    assert [limit.code for limit in there.limits if limit not in here.limits] == [
        "rows-files",
        "vault-files",
    ]
    assert here.reach.endswith("nowhere else on disk.")
    assert "rows and vault lie on database servers and could not be" in there.reach


def test_what_is_personal_is_owned_by_a_store_that_erases_or_keeps_hashes() -> None:
    owners = {name: owner_of(InventoryKind.TABLE, name) for name in metadata.tables}

    assert None not in owners.values()
    assert {owners[name] for name in PERSONAL_TABLES} == {Store.ROWS, Store.AUDIT}
