"""Four API processes over one database: forgets and recommendations at random, one killed.

``python -m benchmarks.chaos.processes``. PostgreSQL, Redis, Chroma and a Celery worker, all real.
One API process is killed and started again, another sleeps past its lease. What counts is the
client's clock: no answer to a call that was sent after the 202 of a forget may rest on what was
forgotten, whichever process gives it. ``benchmarks.chaos.groups`` says how that is seen.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from app.adapters.db import tables
from app.adapters.db.engine import open_engine
from benchmarks.chaos.fleet import Clients, Findings, Fleet
from benchmarks.chaos.groups import Group, expected, load
from benchmarks.harness import write_result
from benchmarks.quality.models import as_served
from tests.e2e.calls import calling
from tests.e2e.cluster import Cluster, cluster
from tests.e2e.processes import wait_for, working
from tests.servers.postgres import started_postgres

SEED: Final = 31
N_PROCESSES: Final = 4
_KILLED: Final = 1
_SLEEPER: Final = 2


class _Ledger:
    """What the processes tell each other, read past them."""

    def __init__(self, database_url: str, stack: ExitStack) -> None:
        self._engine = open_engine(database_url)
        stack.callback(self._engine.dispose)

    def leases(self) -> dict[str, datetime]:
        """Return until when each live process counts as live."""
        one = tables.process.c
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(one.process_id, one.lease_until).where(
                    one.lease_until > datetime.now(UTC)
                )
            ).all()
        return {row.process_id: row.lease_until for row in rows}

    def silent(self, before: Mapping[str, datetime]) -> datetime | None:
        """Return the lease of the one process that has not beaten since; None for not one."""
        now = self.leases()
        leases = [until for one, until in before.items() if now.get(one, until) == until]
        return leases[0] if len(leases) == 1 else None

    def standing(self) -> list[tuple[int, str | None]]:
        """Return how far each live process is, and the hash of its state."""
        one = tables.process.c
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(one.acked_seq, one.state_hash).where(one.lease_until > datetime.now(UTC))
            ).all()
        return [(row.acked_seq, row.state_hash) for row in rows]

    def count(self, name: str) -> int:
        """Return a counter: ``change`` is the head of the feed, ``change_pruned`` its tail."""
        one = tables.counter.c
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(one.value).where(one.name == name)).scalar()
        return int(found or 0)


def _sleep(
    fleet: Fleet, clients: Clients, findings: Findings, ledger: _Ledger, groups: Sequence[Group]
) -> dict[str, object]:
    """Let a process sleep past its lease while users are forgotten; ask it before it wakes.

    Returns:
        Whether certificates waited for its lease, whether it built anew, and how often it was
        asked while it slept.
    """
    rng = random.Random(SEED)  # noqa: S311 - a schedule, not a secret
    built = fleet.builds(_SLEEPER)
    fleet.sleep(_SLEEPER)
    before = ledger.leases()
    for group in groups:
        clients.forget(group, rng)
    forgotten_at = ledger.count("change")
    with ThreadPoolExecutor(2 * len(groups)) as pool:
        for group in [*groups, *groups]:
            pool.submit(clients.recommend, group, rng, on=_SLEEPER)
        lease = wait_for("the others beat", lambda: ledger.silent(before))
        with calling(fleet.url(0)) as api:
            done = [api.completed(findings.requests[group.n]) for group in groups]
        wait_for("the feed is pruned", lambda: ledger.count("change_pruned") >= forgotten_at)
        fleet.wake(_SLEEPER)
    completed = [datetime.fromisoformat(one["completed_at"]) for one in done]
    return {
        "certificates_waited_for_its_lease": min(completed) >= lease,
        "waited_s": [round((at - lease).total_seconds(), ndigits=2) for at in sorted(completed)],
        "built_anew": fleet.builds(_SLEEPER) - built,
        "asked_while_asleep": 2 * len(groups),
    }


def _settle(ledger: _Ledger, *, n_processes: int) -> set[str | None]:
    """Wait until all processes are at the head of the feed; return their states' hashes."""

    def level() -> set[str | None] | None:
        found = ledger.standing()
        head = ledger.count("change")
        is_level = len(found) == n_processes and {seq for seq, _ in found} == {head}
        return {state_hash for _, state_hash in found} if is_level else None

    return wait_for("all processes are at the head of the feed", level)


def _rebuilt(groups: Sequence[Group]) -> str:
    """Return the hash of the state that never knew what was forgotten."""
    neighbours = as_served()
    neighbours.build(expected(groups).items())
    return neighbours.state_hash()


def run(
    servers: Cluster,
    *,
    n_groups: int,
    calls_each: int,
    n_clients: int,
    n_processes: int = N_PROCESSES,
    n_asleep: int = 2,
) -> dict[str, object]:
    """Let one sleep, play, kill one meanwhile, settle; return the figures.

    Args:
        servers: with a worker, or a queue that needs none.
        n_groups: each with one forget.
        calls_each: recommendations around each forget.
        n_clients: at once.
        n_processes: serving, 3 or more.
        n_asleep: groups whose forget comes while a process sleeps.
    """
    findings = Findings()
    groups = [Group(n, is_whole=n % 2 == 0) for n in range(n_groups)]
    with ExitStack() as stack:
        fleet = Fleet(servers, stack, n_processes=n_processes)
        ledger = _Ledger(servers.database_url, stack)
        clients = Clients(fleet, findings, stack)
        api = stack.enter_context(calling(fleet.url(0)))
        load(api, groups)
        played = groups[n_asleep:]
        slept = _sleep(fleet, clients, findings, ledger, groups[:n_asleep])
        started_s = time.perf_counter()
        with ThreadPoolExecutor(1) as pool:
            playing = pool.submit(
                clients.play, played, calls_each=calls_each, n_clients=n_clients, seed=SEED
            )
            half = len(played) * calls_each // 2
            wait_for(
                "half is played", lambda: len(findings.seen) >= half + 2 * n_asleep, timeout_s=600
            )
            fleet.kill(_KILLED)
            fleet.restart(_KILLED)
            playing.result()
        played_s = time.perf_counter() - started_s
        hashes = _settle(ledger, n_processes=n_processes)
    return {
        "seed": SEED,
        "processes": n_processes,
        "users": 4 * n_groups,
        "forgets": len(findings.requests),
        "recommendations": len(findings.seen),
        "clients": n_clients,
        "played_s": round(played_s, ndigits=1),
        "answers": findings.judged(),
        "lost_with_the_killed_process": len(findings.lost),
        "slept": slept,
        "state_hashes": len(hashes),
        "equal_to_a_rebuild_without_the_forgotten": hashes == {_rebuilt(groups)},
    }


def main() -> None:
    """Run, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--calls-each", type=int, default=40)
    parser.add_argument("--clients", type=int, default=8)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lethe-fleet-")))
        postgres = stack.enter_context(started_postgres())
        servers = stack.enter_context(cluster(postgres, folder=folder))
        stack.enter_context(working(servers.beside_chroma, folder=folder, concurrency=2))
        figures = run(
            servers,
            n_groups=arguments.groups,
            calls_each=arguments.calls_each,
            n_clients=arguments.clients,
        )
    path = write_result("processes", figures)
    print(json.dumps(figures, indent=2))
    print(path)


if __name__ == "__main__":
    main()
