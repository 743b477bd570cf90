"""Several Chroma servers, real processes: shards move, and users of each leave nothing on any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.calls import Api, calling, user
from tests.e2e.cluster import Cluster, cluster
from tests.e2e.nodes import Nodes, all_working, several_chromas
from tests.e2e.processes import ROOT, serving, working
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]
USERS = range(12)


@pytest.fixture
def servers(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Cluster]:
    settings = {"LETHE_CHROMA__N_SHARDS": "8"}
    with cluster(postgres_server, folder=tmp_path, settings=settings) as made:
        yield made


def rebalanced(nodes: Nodes, *, node: int = 0) -> dict[str, int]:
    """Run ``lethe rebalance`` beside a server, as an operator does."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lethe"), "rebalance", "--json"],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | nodes.beside[node],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def certified(api: Api, name: str) -> list[str]:
    """Forget a user; return the names of the stores that the certificate says were searched."""
    status = api.completed(api.forget(name)["request_id"])
    probes = status["certificate"]["statement"]["probes"]
    assert all(probe["control_found"] for probe in probes)
    return [probe["store"] for probe in probes]


def test_a_server_is_added_while_the_service_runs(servers: Cluster) -> None:
    with (
        working(servers.beside_chroma, folder=servers.folder),
        serving(servers.environment, folder=servers.folder) as running,
        calling(running.url) as api,
    ):
        api.load(USERS)
        assert certified(api, user(0)) == ["memory"]
    with (
        several_chromas(servers, n=2) as nodes,
        all_working(nodes, folder=servers.folder),
        serving(nodes.environment, folder=servers.folder) as running,
        calling(running.url) as api,
    ):
        before = {n: api.recommend(user(n)) for n in USERS[2:]}

        done = rebalanced(nodes)

        assert 0 < done["shards"] < 8
        assert rebalanced(nodes) == {"shards": 0, "copied": 0}
        assert {n: api.recommend(user(n)) for n in USERS[2:]} == before
        both = {"memory on chroma-0", "memory on chroma-1"}
        for n in USERS[2:8]:
            assert set(certified(api, user(n))) == both
        proof = api.ask("POST", "/admin/prove", json={"user": user(2)}, as_admin=True)
        assert proof["as_never_seen"] is True
        assert all(api.recommend(user(n))["personalised"] for n in USERS[8:])


def test_a_server_is_taken_out_while_the_service_runs(servers: Cluster) -> None:
    both = {"memory on chroma-0", "memory on chroma-1"}
    with several_chromas(servers, n=2) as nodes:
        with (
            all_working(nodes, folder=servers.folder),
            serving(nodes.environment, folder=servers.folder) as running,
            calling(running.url) as api,
        ):
            api.load(USERS)
            assert set(certified(api, user(0))) == both
        leaving = nodes.told(lambda urls: [urls[0], f"-{urls[1]}"])
        with (
            all_working(leaving, folder=servers.folder),
            serving(leaving.environment, folder=servers.folder) as running,
            calling(running.url) as api,
        ):
            before = {n: api.recommend(user(n)) for n in USERS[2:]}

            assert rebalanced(leaving, node=1)["shards"] > 0
            assert rebalanced(leaving, node=0) == {"shards": 0, "copied": 0}

            assert {n: api.recommend(user(n)) for n in USERS[2:]} == before
            assert set(certified(api, user(2))) == both
        without = nodes.told(lambda urls: [urls[0], ""])
    # The second server has ended.
    with (
        working(without.beside[0], folder=servers.folder),
        serving(without.environment, folder=servers.folder) as running,
        calling(running.url) as api,
    ):
        assert all(api.recommend(user(n))["personalised"] for n in USERS[3:])
        assert certified(api, user(3)) == ["memory"]
