"""``kill -9`` of the one process of the embedded mode, before and after each step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from app.adapters.chroma.client import ChromaDatabase
from tests.crash.points import POINTS, check
from tests.crash.remains import Remains, remains
from tests.e2e.calls import calling, user
from tests.e2e.processes import QUICK, serving, wait_for

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1_200)]
BYSTANDERS: Final = range(100, 106)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of forgets left behind.

    Args:
        statuses: of the requests, by the point at which each was killed.
        lists: what bystanders are recommended in the end.
    """

    statuses: dict[str, dict[str, Any]]
    lists: list[dict[str, Any]]
    remains: Remains


def _environment(folder: Path) -> dict[str, str]:
    return QUICK | {"LETHE_DATA_DIR": str(folder)}


def _finish(folder: Path, requests: dict[str, str]) -> Run:
    with serving(_environment(folder), folder=folder) as running, calling(running.url) as api:
        statuses = {point: api.completed(one) for point, one in requests.items()}
        lists = [api.recommend(user(n)) for n in BYSTANDERS]
    with ChromaDatabase.embedded(folder / "chroma") as chroma:
        return Run(statuses, lists, remains(f"sqlite:///{folder}/lethe.db", chroma))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Each user is forgotten by a process that is killed at another point."""
    folder = tmp_path_factory.mktemp("killed")
    requests: dict[str, str] = {}
    for n, point in enumerate(POINTS):
        environment = _environment(folder) | {"LETHE_FORGET__STOP_AT": point}
        with serving(environment, folder=folder) as running, calling(running.url) as api:
            if not requests:
                api.load([*range(len(POINTS)), *BYSTANDERS])
            for earlier in requests.values():
                api.completed(earlier)
            requests[point] = api.forget(user(n), key=f"key-{n}")["request_id"]
            wait_for(f"it stops at {point}", running.stopped)
            running.kill()
    return _finish(folder, requests)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same without a kill."""
    folder = tmp_path_factory.mktemp("undisturbed")
    requests = {}
    with serving(_environment(folder), folder=folder) as running, calling(running.url) as api:
        api.load([*range(len(POINTS)), *BYSTANDERS])
        for n, point in enumerate(POINTS):
            requests[point] = api.forget(user(n), key=f"key-{n}")["request_id"]
            api.completed(requests[point])
    return _finish(folder, requests)


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_request_completes_in_the_next_process(killed: Run, point: str) -> None:
    check(killed.statuses[point], killed_at=point)


def test_all_stores_end_as_in_a_run_that_nothing_disturbed(killed: Run, undisturbed: Run) -> None:
    assert killed.remains == undisturbed.remains


def test_bystanders_get_what_they_get_in_a_run_that_nothing_disturbed(
    killed: Run, undisturbed: Run
) -> None:
    assert killed.lists == undisturbed.lists
    assert all(one["personalised"] for one in killed.lists)


def test_each_request_is_told_of_once_in_the_audit_log(killed: Run) -> None:
    killed.remains.require_one_effect_each(n_requests=len(POINTS))


def test_only_the_bystanders_are_left(killed: Run) -> None:
    assert len(killed.remains.rows["subject"]) == len(BYSTANDERS)
    assert len(killed.remains.rows["tombstone"]) == len(POINTS)
