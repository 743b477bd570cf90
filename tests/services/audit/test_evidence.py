"""Whoever edits the database cannot write what lies outside of it: that is what is compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.adapters.db.engine import open_engine
from app.adapters.db.tables import erasure_document, tombstone
from app.bootstrap import build
from app.domain.models import RequestId
from tests.services.audit.test_certificates import forget
from tests.world import World, open_world, settings_for


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("evidence")) as world:
        world.populate()
        yield world


@pytest.fixture(scope="module")
def erased(world: World) -> RequestId:
    """A finished erasure, of which everything agrees."""
    request_id = forget(world, "reader-3").request.request_id
    assert world.erase(request_id)
    assert world.container.reconcile.check().problems == ()
    return request_id


@contextmanager
def edited(world: World, statement: sa.Update | sa.Delete) -> Iterator[None]:
    """Edit the database as somebody with a shell would, and put it back."""
    path = Path(world.adapters.settings.data_dir) / "lethe.db"
    engine = open_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        before = {
            table: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            for table in (erasure_document, tombstone)
        }
    try:
        with engine.begin() as connection:
            assert connection.execute(statement).rowcount
        yield
    finally:
        with engine.begin() as connection:
            for table, rows in before.items():
                connection.execute(sa.delete(table))
                connection.execute(sa.insert(table), rows)
        engine.dispose()


def certificate_of(world: World, request_id: RequestId) -> dict[str, Any]:
    text = world.container.forget.status(request_id).certificate
    assert text is not None
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize(
    "change",
    ["statement", "signature", "proof", "no JSON"],
)
def test_a_changed_certificate_is_found(world: World, erased: RequestId, change: str) -> None:
    document = certificate_of(world, erased)
    if change == "statement":
        document["statement"]["completed_at"] = document["statement"]["received_at"]
    elif change == "signature":
        document["signature"] = "A" * 86 + "=="
    elif change == "proof":
        document["proof"]["index"] += 1
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    text = "{" if change == "no JSON" else text

    with edited(world, sa.update(erasure_document).values(certificate=text)):
        assert world.container.reconcile.check().problems == (
            f"request {erased}: its certificate was changed",
        )


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (sa.delete(tombstone), "do not agree on its tombstones"),
        (sa.update(tombstone).values(token="0" * 64), "are not those beside the keys"),
        (
            sa.update(tombstone).values(erased_before=datetime(2001, 1, 1, tzinfo=UTC)),
            "are not those beside the keys",
        ),
    ],
)
def test_tombstones_that_are_gone_or_changed_are_found(
    world: World, erased: RequestId, statement: sa.Update, named: str
) -> None:
    with edited(world, statement):
        problems = world.container.reconcile.check().problems

    assert any(erased in one and named in one for one in problems), problems


def test_an_older_log_beside_newer_keys_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with open_world(folder) as world:
        world.read("ada", [])
        world.container.checkpoints.make()
    shutil.copy(folder / "lethe.db", tmp_path / "old.db")
    with open_world(folder) as world:
        world.container.audit.note_start(world.container.about, role="api")
        world.container.checkpoints.make()
    (folder / "lethe.db-wal").unlink(missing_ok=True)
    shutil.copy(tmp_path / "old.db", folder / "lethe.db")

    with build(settings_for(folder)) as runtime:  # as `lethe audit verify` does, before a start
        problems = runtime.container.reconcile.check().problems

    assert problems == ("the log is not the one that was signed last: log_behind",)
