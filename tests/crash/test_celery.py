"""``kill -9`` of Celery workers, before and after each step: on Redis, PostgreSQL and Chroma."""

from __future__ import annotations

import signal
from typing import Any, Final

import pytest

from app.adapters.chroma.client import ChromaDatabase
from tests.crash.points import (
    BYSTANDERS,
    FORGOTTEN,
    POINTS,
    WHOLE,
    Run,
    check,
    check_equal,
    lists_of_bystanders,
)
from tests.crash.remains import remains
from tests.e2e.calls import Api, calling, user
from tests.e2e.cluster import Cluster, cluster
from tests.e2e.processes import Running, kill, serving, wait_for, working
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1_200)]
SETTINGS: Final = {"LETHE_FORGET__TAKE_OVER_S": "3600"}
"""The API leaves everything to workers, so that it is they who recover."""
Statuses = dict[str, dict[str, Any]]


def _stop_at(running: Running, point: str) -> int:
    """Let a worker that stops at every point run to this one; return the child that reached it."""
    for passed in POINTS:
        child = wait_for(f"it stops at {passed}", running.stopped)
        if passed == point:
            return child
        kill(child, signal.SIGCONT)
    raise AssertionError(point)


def _kill_children(servers: Cluster, api: Api) -> Statuses:
    """Kill at every point the child of one and the same worker."""
    environment = servers.beside_chroma | {"LETHE_FORGET__STOP_AT": "*"}
    statuses = {}
    with working(environment, folder=servers.folder) as worker:
        for n, point in enumerate(POINTS):
            request_id = api.forget(user(n))["request_id"]
            kill(_stop_at(worker, point))
            statuses[point] = api.completed(request_id)
    return statuses


def _kill_workers(servers: Cluster, api: Api) -> Statuses:
    """Kill a worker with all its processes, and start another, point by point."""
    requests: dict[str, str] = {}
    for n, point in enumerate(WHOLE, start=len(POINTS)):
        environment = servers.beside_chroma | {"LETHE_FORGET__STOP_AT": point}
        with working(environment, folder=servers.folder) as worker:
            for earlier in requests.values():
                api.completed(earlier)
            requests[f"whole {point}"] = api.forget(user(n))["request_id"]
            wait_for(f"it stops at {point}", worker.stopped)
            worker.kill()
    with working(servers.beside_chroma, folder=servers.folder):
        return {name: api.completed(request_id) for name, request_id in requests.items()}


@pytest.fixture(scope="module")
def killed(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Each user is forgotten by a worker that is killed at another point."""
    folder = tmp_path_factory.mktemp("killed")
    with (
        cluster(postgres_server, folder=folder, settings=SETTINGS) as servers,
        serving(servers.environment, folder=folder) as running,
        calling(running.url) as api,
    ):
        api.load([*FORGOTTEN, *BYSTANDERS])
        statuses = _kill_children(servers, api) | _kill_workers(servers, api)
        lists = lists_of_bystanders(api)
        with ChromaDatabase.server(servers.chroma.url) as chroma:
            left = remains(
                servers.database_url,
                vault_url=servers.environment["LETHE_VAULT__URL"],
                chroma=chroma,
            )
            return Run(statuses, lists, left)


@pytest.mark.parametrize("point", POINTS)
def test_a_request_completes_when_its_child_is_killed(killed: Run, point: str) -> None:
    check(killed.statuses[point], killed_at=point)


@pytest.mark.parametrize("point", WHOLE)
def test_a_request_completes_when_its_worker_is_killed(killed: Run, point: str) -> None:
    check(killed.statuses[f"whole {point}"], killed_at=point)


def test_everything_ends_as_in_an_embedded_run_that_nothing_disturbed(
    killed: Run, undisturbed: Run
) -> None:
    check_equal(killed, undisturbed)
