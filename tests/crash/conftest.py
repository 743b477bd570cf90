"""The run without crashes, with which all others are compared."""

from __future__ import annotations

import pytest

from tests.crash.embedded import environment_of, finish
from tests.crash.points import BYSTANDERS, FORGOTTEN, Run
from tests.e2e.calls import calling
from tests.e2e.processes import serving


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Everybody who is forgotten in the other runs is forgotten without a crash."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with serving(environment_of(folder), folder=folder) as running, calling(running.url) as api:
        api.load([*FORGOTTEN, *BYSTANDERS])
    return finish(folder, {})
