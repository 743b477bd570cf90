"""A store that comes back from a backup is served only once it has forgotten again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from fastapi.testclient import TestClient

from app.api.application import create_app
from app.api.state import Limits, Security, State
from app.domain.erasure.request import ErasureOrder
from app.domain.erasure.scope import AllScope, ItemsScope, Scope
from app.domain.errors import KeyMissingError, RestoreInProgressError
from app.domain.models import ItemId, RequestId
from app.observability import Metrics
from app.services.erasure.requests import ForgetCommand
from tests.world import World, catalogue, open_world

SEA: Final = [f"sea-{number:02d}" for number in range(4)]
WORDS: Final = "I sailed past Terschelling"
VAULT: Final = "vault.db"
GATED: Final = (
    ("GET", "/recommend/anna"),
    ("POST", "/interactions"),
    ("GET", "/users/anna/rights"),
    ("GET", "/users/anna/export"),
)


class Folders(NamedTuple):
    """A data directory after two erasures, and a copy from before them."""

    now: Path
    before: Path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Anna is erased, and of Bert one book; Carl stays."""
    found = Folders(
        tmp_path_factory.mktemp("restore") / "now", tmp_path_factory.mktemp("backup") / "before"
    )
    with opened(found.now) as world:
        world.container.catalogue.upsert(catalogue())
        for name in ("anna", "bert", "carl"):
            world.read(name, SEA, text="read at night")
        world.note("anna", WORDS)
    shutil.copytree(found.now, found.before)
    with opened(found.now) as world:
        bert = forget(world, "bert", ItemsScope((ItemId("sea-00"),)))
        anna = forget(world, "anna", AllScope())
        world.settle()
        assert world.container.erase.execute(anna) == {anna, bert}
    return found


@pytest.fixture
def restored(folders: Folders, tmp_path: Path) -> Folders:
    """A copy of both that a test may mix."""
    shutil.copytree(folders.now, tmp_path / "now")
    return Folders(tmp_path / "now", folders.before)


@contextmanager
def serving(world: World) -> Iterator[TestClient]:
    """Answer HTTP for a service caller."""
    state = State(
        container=world.container,
        security=Security("a-service-token", "an-admin-token"),
        limits=Limits(max_body_bytes=100_000, max_batch=50),
        metrics=Metrics(),
    )
    with TestClient(create_app(state)) as client:
        client.headers["Authorization"] = "Bearer a-service-token"
        yield client


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    with open_world(folder) as world:
        world.container.feed.start()
        yield world
        world.container.feed.stop()


def forget(world: World, name: str, scope: Scope) -> RequestId:
    command = ForgetCommand(pseudonym=world.user(name), scope=scope)
    return world.container.forget.accept(command).request.request_id


def bring_back(folders: Folders, *names: str) -> None:
    """Put these files or folders back as the backup has them."""
    for name in names:
        for path in folders.now.glob(f"{name}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in folders.before.glob(f"{name}*"):
            copy = shutil.copytree if path.is_dir() else shutil.copy2
            copy(path, folders.now / path.name)


def items(world: World, name: str) -> set[str | None]:
    with world.adapters.uows.read() as uow:
        history = uow.interactions.history(world.user(name), with_texts=False)
    return {entry.item_id for entry in history}


def is_gone(world: World, name: str) -> bool:
    """Search the bytes of every store for the user."""
    order = ErasureOrder(RequestId(""), world.user(name), is_whole_user=True, record_ids=())
    (reports,) = world.container.search.search([world.container.search.collect(order).needles])
    return all(report.is_clean for report in reports)


def test_a_backup_of_the_data_is_not_served_before_it_has_forgotten_again(
    restored: Folders,
) -> None:
    bring_back(restored, "lethe.db", "chroma")
    with opened(restored.now) as world:
        gate = world.container.restore
        assert not world.container.health.readiness().is_ready
        with pytest.raises(RestoreInProgressError):
            gate.require_open()
        with world.adapters.uows.read() as uow:
            ids = uow.interactions.record_ids_of(world.user("anna"))
        assert len(ids) == len(SEA) + 1
        with pytest.raises(KeyMissingError):
            world.adapters.memory.vectors(world.user("anna"), ids)

        world.settle()
        assert world.container.sweep.sweep(take_over_after_s=0.0).completed == 2
        assert gate.check()

        assert world.container.health.readiness().is_ready
        assert items(world, "anna") == set()
        assert items(world, "bert") == {*SEA[1:]}
        assert items(world, "carl") == {*SEA}
        assert is_gone(world, "anna")
        assert not is_gone(world, "carl")
        assert world.read("anna", SEA) == (0, 0, len(SEA))


def test_over_http_the_gate_answers_503_until_the_erasures_are_repeated(
    restored: Folders,
) -> None:
    bring_back(restored, "lethe.db", "chroma")
    with opened(restored.now) as world, serving(world) as client:
        for method, path in GATED:
            answer = client.request(method, path, json=[])
            assert (answer.status_code, answer.json()["code"]) == (503, "restore_in_progress"), path
        assert client.get("/readyz").status_code == 503
        body = {"user": "carl", "scope": {"kind": "items", "item_ids": ["sea-03"]}}
        assert client.post("/forget", json=body).status_code == 202

        world.settle()
        world.container.sweep.sweep(take_over_after_s=0.0)
        assert world.container.restore.check()

        assert client.get("/readyz").status_code == 200
        assert not client.get("/recommend/anna").json()["personalised"]
        assert client.get("/recommend/carl").json()["personalised"]


def test_a_backup_of_the_vectors_alone_loses_what_no_row_knows(restored: Folders) -> None:
    bring_back(restored, "chroma")
    with opened(restored.now) as world:
        assert world.container.restore.is_open
        assert is_gone(world, "anna")
        with world.adapters.uows.read() as uow:
            ids = uow.interactions.record_ids_of(world.user("bert"))
            n_rows = uow.interactions.count()
        n_stored = sum(map(len, world.adapters.memory.owners()))
        assert len(ids) == len(SEA) - 1
        assert n_stored == n_rows  # the canary's, which is younger than the backup, too


def test_a_backup_of_the_vault_gives_no_key_back(restored: Folders) -> None:
    bring_back(restored, VAULT)
    with opened(restored.now) as world:
        assert world.container.restore.is_open
        assert world.adapters.vault.count(world.user("anna")) == 0
        assert world.adapters.vault.count(world.user("carl")) == 1
        assert len(world.adapters.ledger.request_ids()) == 2


def test_a_restore_under_a_running_service_closes_the_gate(restored: Folders) -> None:
    with opened(restored.now) as world:
        assert world.container.restore.check()
        with world.adapters.uows.write() as uow:
            uow.restores.note_memory_mark(world.adapters.memory.mark() + 1)

        assert world.container.restore.check()

        with world.adapters.uows.read() as uow:
            assert world.adapters.memory.mark() == uow.restores.memory_mark()


def test_what_is_held_or_rejected_is_not_erased_by_a_restore(restored: Folders) -> None:
    with opened(restored.now) as world:
        known = world.adapters.ledger.request_ids()
        held = forget(world, "carl", ItemsScope((ItemId("sea-01"),)))
        assert world.adapters.ledger.request_ids() == known | {held}

        world.container.operations.hold(held)

        assert world.adapters.ledger.request_ids() == known


def test_who_was_erased_for_inactivity_needs_no_consent_after_a_restore_either(
    folders: Folders, tmp_path: Path
) -> None:
    here = Folders(shutil.copytree(folders.before, tmp_path / "now"), folders.before)
    with opened(here.now) as world:
        for name, is_lapse in (("anna", True), ("carl", True), ("carl", False)):
            command = ForgetCommand(world.user(name), AllScope(), is_lapse=is_lapse)
            assert world.erase(world.container.forget.accept(command).request.request_id)
    bring_back(here, "lethe.db", "chroma")
    with opened(here.now) as world:
        world.settle()
        world.container.sweep.sweep(take_over_after_s=0.0)
        assert world.container.restore.check()
        assert items(world, "anna") == items(world, "carl") == set()

        world.settle()
        assert world.read("anna", SEA) == (0, 0, len(SEA))
        assert world.read("anna", SEA[:1], at=world.clock.now())[0] == 1
        assert world.read("carl", SEA[:1], at=world.clock.now()) == (0, 0, 1)
