from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.console import Tamperer
from tests.e2e.calls import Api, calling
from tests.e2e.processes import QUICK, Running, serving
from tests.servers.chromium import running_chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """``lethe serve``, embedded, with a few readers."""
    folder = tmp_path_factory.mktemp("console")
    environment = QUICK | {"LETHE_DATA_DIR": str(folder / "data")}
    with serving(environment, folder=folder) as running:
        with calling(running.url) as api:
            api.load(range(12))
        yield running


@pytest.fixture
def api(server: Running) -> Iterator[Api]:
    with calling(server.url) as api:
        yield api


@pytest.fixture
def tamperer(server: Running) -> Tamperer:
    return Tamperer(server.log.parent / "data" / "lethe.db")
