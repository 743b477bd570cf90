"""A log longer than what the browser hashes at once, and one that was rolled back."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser

from app.adapters.db import schema
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.audit.entries import Leaf, LeafKind
from tests.browser.console import Tamperer, visiting
from tests.e2e.processes import QUICK, serving

N_LEAVES = 9_001  # two chunks of leaves and a bit, and an odd node on most levels
AT = datetime(2026, 1, 1, tzinfo=UTC)


def write_log(file: Path, *, n_leaves: int) -> None:
    """Make a database with a log of that length."""
    file.parent.mkdir(parents=True)
    url = f"sqlite:///{file}"
    schema.upgrade(url)
    uows = SqlUnitsOfWork(open_engine(url))
    with uows.write() as uow:
        uow.audit.append(
            [
                Leaf(LeafKind.AUDIT_READ, AT, None, {"after": n, "returned": 1})
                for n in range(n_leaves)
            ]
        )
    uows.close()


def test_a_long_log_verifies_and_one_leaf_in_it_is_found(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "data" / "lethe.db"
    write_log(file, n_leaves=N_LEAVES)
    environment = QUICK | {"LETHE_DATA_DIR": str(file.parent)}

    with serving(environment, folder=tmp_path) as server, visiting(browser, server.url) as console:
        console.sign_in()
        assert console.verify()[0] == "ok"
        with Tamperer(file).changing(7_890, body=b'{"kind":"audit.read"}'):
            outcome, told = console.verify()
        assert outcome == "wrong"
        assert "leaf 7890 was changed" in told
        assert told.count("was changed: it does not have its hash") == 1


def test_a_log_that_was_rolled_back_is_seen_by_who_saw_it_before(
    browser: Browser, tmp_path: Path
) -> None:
    """Database and key restored from yesterday: whole, signed, and still caught."""
    data, copy = tmp_path / "data", tmp_path / "yesterday"
    environment = QUICK | {"LETHE_DATA_DIR": str(data), "LETHE_API__PORT": "0"}
    with serving(environment, folder=tmp_path) as server, visiting(browser, server.url) as console:
        console.sign_in()
        console.verify()
        port = int(server.url.rpartition(":")[2])
        server.stop()
        shutil.copytree(data, copy)
        with serving(environment, folder=tmp_path, port=port):
            for _ in range(5):
                outcome, told = console.verify()
                assert outcome == "ok", told
        shutil.rmtree(data)
        shutil.copytree(copy, data)

        with serving(environment, folder=tmp_path, port=port):
            outcome, told = console.verify()

            assert outcome == "wrong", told
            # By the service, or, if the file system gave the copied key the number that the first
            # one had, by the browser.
            assert re.search("rolled back or (copied|rewritten)", told), told
            console.page.get_by_role("button", name="Forget").click()
            assert console.verify()[0] == "ok"
