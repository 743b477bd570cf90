"""8 processes append 10,000 leaves to one log on PostgreSQL: one chain, no gap, no fork.

One of the processes signs a checkpoint after every 50 of its leaves, as the timer and completing
erasures do. Afterwards the whole log is checked: numbers, hashes, tree and signatures.

``python -m benchmarks.audit.appenders`` writes ``benchmarks/results/audit_appenders.json``. It
starts a PostgreSQL server from installed binaries, or takes the one that the tests are told of.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from app.adapters.db import schema
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.adapters.system.clock import SystemClock
from app.adapters.system.signing import FileSigner, is_signed
from app.domain.audit.entries import Leaf
from app.services.audit.checkpoints import CheckpointService
from app.services.audit.integrity_check import AuditCheckService, LogReport
from benchmarks.audit.run import Took, make_leaf, spread, timed
from benchmarks.harness import write_result
from tests.audit_samples import ORIGIN
from tests.servers.postgres import running_postgres

N_WORKERS: Final = 8
N_LEAVES: Final = 10_000
SIGN_EVERY: Final = 50


def work(url: str, keys: str, number: int) -> tuple[list[int], list[Took]]:
    """Append this worker's share, one leaf a transaction; return numbers and what each took."""
    uows = SqlUnitsOfWork(open_engine(url))
    signing = CheckpointService(
        uows=uows,
        signer=FileSigner(Path(keys), name=ORIGIN),
        clock=SystemClock(),
        origin=ORIGIN,
        is_signed=is_signed,
    )
    seqs, times = [], []
    for each in range(N_LEAVES // N_WORKERS):
        given, took = timed(partial(append_one, uows, make_leaf(number * N_LEAVES + each)))
        seqs += given
        times.append(took)
        if number == 0 and each % SIGN_EVERY == SIGN_EVERY - 1:
            signing.make()
    uows.close()
    return seqs, times


def append_one(uows: SqlUnitsOfWork, leaf: Leaf) -> list[int]:
    """Append one leaf in a transaction of its own."""
    with uows.write() as uow:
        return uow.audit.append([leaf])


def check(url: str, keys: Path) -> LogReport:
    """Check the whole log."""
    uows = SqlUnitsOfWork(open_engine(url))
    signer = FileSigner(keys, name=ORIGIN)
    report = AuditCheckService(uows=uows, signer=signer, is_signed=is_signed).check()
    uows.close()
    return report


def race(url: str, keys: Path) -> tuple[list[list[int]], list[Took], float]:
    """Let the workers loose; return each one's numbers, what each append took, and seconds."""
    started = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(N_WORKERS) as pool:
        done = pool.starmap(work, [(url, str(keys), number) for number in range(N_WORKERS)])
    seconds = time.perf_counter() - started
    return [seqs for seqs, _ in done], [took for _, times in done for took in times], seconds


def main() -> None:
    """Race, check and write."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgres() as server,
        server.database() as url,
    ):
        keys = Path(folder) / "keys"
        FileSigner(keys, name=ORIGIN).create()
        schema.upgrade(url)
        by_worker, times, seconds = race(url, keys)
        report = check(url, keys)
    given = sorted(seq for seqs in by_worker for seq in seqs)
    is_gapless = given == list(range(N_LEAVES))
    is_ordered = all(list(seqs) == sorted(seqs) for seqs in by_worker)
    if not (is_gapless and is_ordered and report.is_whole and report.n_leaves == N_LEAVES):
        sys.exit(f"the log forked: {report}")
    share = N_LEAVES // N_WORKERS
    owners = np.argsort([seq for seqs in by_worker for seq in seqs]) // share
    payload = {
        "seed": 0,
        "workers": N_WORKERS,
        "leaves": N_LEAVES,
        "is_gapless": is_gapless,
        "problems": list(report.problems),
        "checkpoints": report.n_checkpoints,
        "hand_overs_between_workers": int(np.count_nonzero(np.diff(owners))),
        "leaves_per_s": round(N_LEAVES / seconds),
        "append_one_ms": spread(times),
        "seconds": round(seconds, 1),
    }
    print(payload)
    write_result("audit_appenders", payload)


if __name__ == "__main__":
    main()
