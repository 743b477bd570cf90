"""``kill -9`` of Celery workers, before and after each step: on Redis, PostgreSQL and Chroma."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import pytest

from app.adapters.chroma.client import ChromaDatabase
from tests.crash.points import POINTS, check
from tests.crash.remains import Remains, remains
from tests.e2e.calls import Api, calling, user
from tests.e2e.cluster import Cluster, cluster
from tests.e2e.processes import Running, kill, serving, wait_for, working
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1_200)]
WHOLE: Final = ["memory:done", "maintenance:before", "rows:done", "complete:before"]
"""Points at which the whole worker dies, and not only the child that does the work."""
BYSTANDERS: Final = range(100, 106)
SETTINGS: Final = {"LETHE_FORGET__TAKE_OVER_S": "3600"}
"""The API leaves everything to workers, so that it is they who recover."""


def _stop_at(running: Running, point: str) -> int:
    """Let a worker under ``*`` go on from point to point; return the child that came to this."""
    for passed in POINTS:
        child = wait_for(f"it stops at {passed}", running.stopped)
        if passed == point:
            return child
        kill(child, signal.SIGCONT)
    raise AssertionError(point)


class _World:
    """A cluster with an API process, on which erasures are killed one after the other."""

    def __init__(self, servers: Cluster, api: Api) -> None:
        self.servers = servers
        self.api = api
        self.statuses: dict[str, dict[str, Any]] = {}

    def kill_children(self) -> None:
        """Kill at every point the child of one and the same worker."""
        environment = self.servers.environment | {"LETHE_FORGET__STOP_AT": "*"}
        with working(environment, folder=self.servers.folder) as worker:
            for n, point in enumerate(POINTS):
                request_id = self.api.forget(user(n))["request_id"]
                kill(_stop_at(worker, point))
                self.statuses[point] = self.api.completed(request_id)

    def kill_workers(self) -> None:
        """Kill a worker with all its processes, and start another."""
        requests: dict[str, str] = {}
        for n, point in enumerate(WHOLE, start=len(POINTS)):
            environment = self.servers.environment | {"LETHE_FORGET__STOP_AT": point}
            with working(environment, folder=self.servers.folder) as worker:
                for earlier in requests.values():
                    self.api.completed(earlier)
                requests[f"whole {point}"] = self.api.forget(user(n))["request_id"]
                wait_for(f"it stops at {point}", worker.stopped)
                worker.kill()
        with working(self.servers.environment, folder=self.servers.folder):
            for name, request_id in requests.items():
                self.statuses[name] = self.api.completed(request_id)

    def disturb_nothing(self) -> None:
        """Forget the same users in peace."""
        with working(self.servers.environment, folder=self.servers.folder):
            for n in range(len(POINTS) + len(WHOLE)):
                self.api.completed(self.api.forget(user(n))["request_id"])

    def remains(self) -> Remains:
        with ChromaDatabase.server(self.servers.chroma.url) as chroma:
            return remains(self.servers.database_url, chroma)


@pytest.fixture(scope="module")
def worlds(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[_World, _World]]:
    """One world in which workers died, and one in which none did."""
    with ExitStack() as stack:
        made = []
        for name in ("killed", "undisturbed"):
            folder = tmp_path_factory.mktemp(name)
            servers = stack.enter_context(
                cluster(postgres_server, folder=folder, settings=SETTINGS)
            )
            api = stack.enter_context(serving(servers.environment, folder=folder))
            made.append(_World(servers, stack.enter_context(calling(api.url))))
            made[-1].api.load([*range(len(POINTS) + len(WHOLE)), *BYSTANDERS])
        killed, undisturbed = made
        killed.kill_children()
        killed.kill_workers()
        undisturbed.disturb_nothing()
        yield killed, undisturbed


@pytest.mark.parametrize("point", POINTS)
def test_a_request_completes_when_its_child_is_killed(
    worlds: tuple[_World, _World], point: str
) -> None:
    check(worlds[0].statuses[point], killed_at=point)


@pytest.mark.parametrize("point", WHOLE)
def test_a_request_completes_when_its_worker_is_killed(
    worlds: tuple[_World, _World], point: str
) -> None:
    check(worlds[0].statuses[f"whole {point}"], killed_at=point)


def test_all_stores_end_as_in_a_run_that_nothing_disturbed(worlds: tuple[_World, _World]) -> None:
    killed, undisturbed = (world.remains() for world in worlds)

    assert killed == undisturbed
    killed.require_one_effect_each(n_requests=len(POINTS) + len(WHOLE))


def test_bystanders_get_what_they_get_in_a_run_that_nothing_disturbed(
    worlds: tuple[_World, _World],
) -> None:
    killed, undisturbed = ([world.api.recommend(user(n)) for n in BYSTANDERS] for world in worlds)

    assert killed == undisturbed
    assert all(one["personalised"] for one in killed)
