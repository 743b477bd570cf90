"""``kill -9`` of the one process of the embedded mode, before and after each step."""

from __future__ import annotations

import pytest

from tests.crash.embedded import environment_of, finish
from tests.crash.points import BYSTANDERS, FORGOTTEN, POINTS, Run, check, check_equal
from tests.e2e.calls import calling, user
from tests.e2e.processes import serving, wait_for

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1_200)]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Each user is forgotten by a process that is killed at another point."""
    folder = tmp_path_factory.mktemp("killed")
    requests: dict[str, str] = {}
    for n, point in enumerate(POINTS):
        environment = environment_of(folder) | {"LETHE_FORGET__STOP_AT": point}
        with serving(environment, folder=folder) as running, calling(running.url) as api:
            if not requests:
                api.load([*FORGOTTEN, *BYSTANDERS])
            for earlier in requests.values():
                api.completed(earlier)
            requests[point] = api.forget(user(n))["request_id"]
            wait_for(f"it stops at {point}", running.stopped)
            running.kill()
    return finish(folder, requests)


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_request_completes_in_the_next_process(killed: Run, point: str) -> None:
    check(killed.statuses[point], killed_at=point)


def test_everything_ends_as_in_a_run_that_nothing_disturbed(killed: Run, undisturbed: Run) -> None:
    check_equal(killed, undisturbed)
