"""After a restore two API processes and a worker open one successor between them, not three."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.data import verify_lethe
from tests.e2e.calls import Api, Json, calling, user
from tests.e2e.cluster import cluster
from tests.e2e.processes import serving, working
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.crash, pytest.mark.timeout(400)]


@contextmanager
def fleet(servers: Mapping[str, Mapping[str, str]], *, folder: Path) -> Iterator[list[Api]]:
    """Run a worker, an API process that starts beside it, and another one; give the two."""
    with ExitStack() as stack:
        stack.enter_context(working(servers["worker"], folder=folder))
        running = [stack.enter_context(serving(servers["api"], folder=folder)) for _ in range(2)]
        yield [stack.enter_context(calling(one.url)) for one in running]


def erased(api: Api, name: str, *, folder: Path) -> Json:
    done = api.completed(api.forget(name)["request_id"])
    (folder / f"{done['request_id']}.json").write_text(json.dumps(done["certificate"]))
    return done


def test_a_restored_log_gets_one_successor_whoever_starts_and_old_certificates_stay_good(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    papers = tmp_path / "papers"
    papers.mkdir()
    with cluster(postgres_server, folder=tmp_path) as made:
        now = {"api": made.environment, "worker": made.beside_chroma}
        with fleet(now, folder=tmp_path) as (api, _):
            api.load(range(6))
            erased(api, user(0), folder=papers)
        template = made.database_url.rpartition("/")[2]
        with postgres_server.database(template=template) as backup:
            with fleet(now, folder=tmp_path) as (_, api):
                lost = erased(api, user(1), folder=papers)
            restored = {
                role: {**settings, "LETHE_DATABASE__URL": backup} for role, settings in now.items()
            }
            with fleet(restored, folder=tmp_path) as (one, other):
                late = erased(other, user(2), folder=papers)
                told = [api.ask("GET", "/.well-known/lethe.json") for api in (one, other)]
                gone = [api.send("GET", f"/forget/{lost['request_id']}") for api in (one, other)]
            shown = subprocess.run(
                [str(Path(sys.executable).parent / "lethe"), "keys", "show"],
                env={**restored["api"]},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()

    (ended,) = told[0]["ended"]
    assert [one["ended"] for one in told] == [[ended]] * 2
    assert (ended["why"], ended["origin"]) == ("restored", "lethe-test")
    assert told[0]["origin"] == told[1]["origin"] == ended["successor"]
    assert late["certificate"]["statement"]["origin"] == ended["successor"]
    assert [(one.status_code, one.json()["successor"]) for one in gone] == [
        (410, ended["successor"])
    ] * 2
    assert shown == told[0]["key"]
    certificates = [str(path) for path in sorted(papers.iterdir())]
    assert len(certificates) == 3
    assert verify_lethe.main([*certificates, "--key", shown]) == 0
