"""What the audit log costs as it grows: appending, signing, proving, verifying.

One log on SQLite, through the service's own ports, measured at 10, 10³, 10⁵ and 10⁶ leaves.
What should grow with the logarithm (a proof) and what should grow with the log (checking all of
it) are shown side by side; a bare Merkle tree in memory is the reference for the database's share.

``python -m benchmarks.audit.run`` writes ``benchmarks/results/audit.json`` and
``docs/images/audit.png``.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import numpy as np

from app.adapters.db import schema
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.adapters.system.clock import SystemClock
from app.adapters.system.signing import FileSigner, is_signed
from app.data.verify_lethe import parse_key, root_of_path, verify_document, verify_log
from app.domain.audit.entries import Leaf, LeafKind
from app.domain.audit.merkle import Frontier, extend, inclusion_nodes, leaf_hash, verify_consistency
from app.domain.certificates.statement import CertificateStatement
from app.domain.models import RequestId
from app.services.audit.checkpoints import CheckpointService
from app.services.audit.integrity_check import AuditCheckService
from app.services.audit.log import export_line
from benchmarks.audit.picture import draw
from benchmarks.harness import write_result
from tests.audit_samples import ORIGIN, SALT, completion_leaf, make_statement

SEED: Final = 20260301
SIZES: Final = (10, 1_000, 100_000, 1_000_000)
BATCH: Final = 1_000
N_SINGLE: Final = 200
N_PROOFS: Final = 300
FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)

Result = TypeVar("Result")


def make_leaf(number: int) -> Leaf:
    """Return a leaf like those of everyday work."""
    kinds = [kind for kind in LeafKind if kind is not LeafKind.LOG_SUCCEEDED]
    return Leaf(
        kinds[number % len(kinds)],
        FIRST + timedelta(seconds=number),
        RequestId(f"{number // 6:032x}"),
        {"n_memories": number % 97, "store": "memory", "ms": number * 7 % 1000},
    )


class Took(NamedTuple):
    """Milliseconds on the wall, and of this thread's processor time.

    The second is what the work costs; the first has the disk in it, and the neighbours.
    """

    wall: float
    cpu: float


def timed(work: Callable[[], Result]) -> tuple[Result, Took]:
    """Run ``work``; return its result and what it took."""
    wall, cpu = time.perf_counter(), time.thread_time()
    result = work()
    return result, Took(1e3 * (time.perf_counter() - wall), 1e3 * (time.thread_time() - cpu))


def spread(values: Sequence[Took]) -> dict[str, float]:
    """Return medians and 95th percentiles in milliseconds, rounded to 0.1 µs."""
    wall, cpu = zip(*values, strict=True)
    return {
        "cpu_p50": round(float(np.median(cpu)), 4),
        "cpu_p95": round(float(np.quantile(cpu, 0.95)), 4),
        "wall_p50": round(float(np.median(wall)), 4),
        "wall_p95": round(float(np.quantile(wall, 0.95)), 4),
        "n": len(values),
    }


class Bench:
    """A log on SQLite that grows from size to size."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'lethe.db'}"
        schema.upgrade(url)
        self.database = folder / "lethe.db"
        self.uows = SqlUnitsOfWork(open_engine(url))
        self.signer = FileSigner(folder / "keys", name=ORIGIN)
        self.signer.create()
        self.checkpoints = CheckpointService(
            uows=self.uows,
            signer=self.signer,
            clock=SystemClock(),
            origin=ORIGIN,
            is_signed=is_signed,
        )
        self.checker = AuditCheckService(uows=self.uows, signer=self.signer, is_signed=is_signed)
        self.rng = np.random.default_rng(SEED)
        self.size = 0

    def grow(self, target: int) -> dict[str, int]:
        """Append in batches up to ``target`` leaves; return leaves per second."""
        before = self.size
        _, took = timed(partial(self._grow, target))
        n_leaves = self.size - before
        return {"cpu": round(1e3 * n_leaves / took.cpu), "wall": round(1e3 * n_leaves / took.wall)}

    def _grow(self, target: int) -> None:
        while self.size < target:
            upto = min(target, self.size + BATCH)
            with self.uows.write() as uow:
                uow.audit.append([make_leaf(number) for number in range(self.size, upto)])
            self.size = upto

    def append_singly(self) -> dict[str, float]:
        """Return milliseconds of a transaction that appends one leaf."""
        return spread([timed(self._append_one)[1] for _ in range(N_SINGLE)])

    def _append_one(self) -> None:
        with self.uows.write() as uow:
            uow.audit.append([make_leaf(self.size)])
        self.size += 1

    def sign(self) -> dict[str, float]:
        """Return milliseconds to sign a log that has grown by one leaf."""
        times = []
        for _ in range(20):
            self._append_one()
            times.append(timed(self.checkpoints.make)[1])
        return spread(times)

    def prove(self) -> dict[str, object]:
        """Prove random leaves from the database, and verify with the one-file verifier."""
        made, verified, n_hashes, n_reads = [], [], [], []
        for seq in self.rng.integers(0, self.size, N_PROOFS).tolist():
            proof, took = timed(partial(self.checkpoints.prove, seq))
            made.append(took)
            checkpoint = proof.checkpoint.checkpoint
            root, took = timed(
                partial(
                    root_of_path,
                    proof.leaf_hash,
                    index=seq,
                    size=checkpoint.size,
                    path=proof.path,
                )
            )
            verified.append(took)
            if root != checkpoint.root:
                message = f"leaf {seq} of {checkpoint.size} is not proved"
                raise SystemExit(message)
            n_hashes.append(len(proof.path))
            n_reads.append(len(inclusion_nodes(seq, size=checkpoint.size)))
        return {
            "make_ms": spread(made),
            "verify_ms": spread(verified),
            "hashes_max": max(n_hashes),
            "hashes_mean": round(float(np.mean(n_hashes)), 2),
            "bytes_max": 32 * max(n_hashes),
            "node_reads_max": max(n_reads),
            "log2_size": round(math.log2(self.size), 2),
        }

    def prove_consistency(self) -> dict[str, object]:
        """Prove that random earlier logs begin this one, and verify."""
        made, verified, n_hashes = [], [], []
        for first in self.rng.integers(1, self.size + 1, 100).tolist():
            proof, took = timed(
                partial(self.checkpoints.prove_consistency, first=first, second=self.size)
            )
            made.append(took)
            _, took = timed(
                partial(
                    verify_consistency,
                    first=proof.first,
                    second=proof.second,
                    proof=proof.path,
                    first_root=proof.first_root,
                    second_root=proof.second_root,
                )
            )
            verified.append(took)
            n_hashes.append(len(proof.path))
        return {
            "make_ms": spread(made),
            "verify_ms": spread(verified),
            "hashes_max": max(n_hashes),
        }

    def certify(self) -> dict[str, object]:
        """Complete erasures: leaf, checkpoint, proof and signature in one transaction."""
        statement, made, verified = make_statement(), [], []
        pinned = [parse_key(self.signer.current().key.encode())]
        data = b""
        for _ in range(20):
            data, took = timed(partial(self._certify_one, statement))
            made.append(took)
            self.size += 1
            report, took = timed(partial(verify_document, data, pinned=pinned))
            verified.append(took)
            if report.n_wrong:
                raise SystemExit("\n".join(report.lines))
        return {"make_ms": spread(made), "verify_ms": spread(verified), "bytes": len(data)}

    def _certify_one(self, statement: CertificateStatement) -> bytes:
        with self.uows.write() as uow:
            seq = uow.audit.append([completion_leaf(statement)])[-1]
            return self.checkpoints.certify(uow, statement, seq=seq, salt=SALT).encode()

    def check_all(self) -> dict[str, object]:
        """Check the whole log in the database, and its export with the one-file verifier."""
        report, check = timed(self.checker.check)
        if not report.is_whole or report.n_leaves != self.size:
            raise SystemExit(f"the log is not whole: {report.problems}")
        with self.uows.read() as uow:
            leaves = uow.audit.page(after=-1, limit=self.size, kind=None, request_id=None)
            newest = uow.audit.newest_checkpoint()
        data = b"".join(map(export_line, leaves))
        notes = [newest.note.encode()] if newest else []
        pinned = [parse_key(self.signer.current().key.encode())]
        verified, verify = timed(partial(verify_log, data, notes=notes, pinned=pinned))
        if verified.n_wrong:
            raise SystemExit("\n".join(verified.lines))
        return {
            "database_cpu_s": round(check.cpu / 1e3, 4),
            "database_wall_s": round(check.wall / 1e3, 4),
            "checkpoints_checked": report.n_checkpoints,
            "export_verify_cpu_s": round(verify.cpu / 1e3, 4),
            "export_verify_wall_s": round(verify.wall / 1e3, 4),
            "export_bytes": len(data),
        }


def in_memory(size: int) -> dict[str, float]:
    """Return what the bare tree does: leaves per second, hashing included, and a root's time."""
    bodies = [make_leaf(number).canonical() for number in range(size)]
    (frontier, _), took = timed(lambda: extend(Frontier(), map(leaf_hash, bodies)))
    roots = [timed(frontier.root)[1].cpu for _ in range(100)]
    return {
        "leaves_per_cpu_s": round(1e3 * size / took.cpu),
        "root_cpu_ms": round(float(np.median(roots)), 5),
    }


def measure(bench: Bench, size: int) -> dict[str, object]:
    """Grow to ``size`` and measure everything there: first what reads, then what appends."""
    rate = bench.grow(size)
    bench.checkpoints.make()
    return {
        "size": size,
        "append_batch_leaves_per_s": rate,
        "inclusion": bench.prove(),
        "consistency": bench.prove_consistency(),
        "whole_log": bench.check_all(),
        "database_bytes": bench.database.stat().st_size,
        "append_one_ms": bench.append_singly(),
        "sign_ms": bench.sign(),
        "certificate": bench.certify(),
        "tree_in_memory": in_memory(size),
    }


def main() -> None:
    """Measure, write and draw."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        rows = []
        for size in SIZES:
            rows.append(measure(bench, size))
            print(rows[-1], flush=True)
    payload = {
        "seed": SEED,
        "sizes": rows,
        "method": (
            "One SQLite log grown in batches of 1,000; at each size 300 random inclusion and 100 "
            "consistency proofs and one check of the whole log, then 200 single-leaf "
            "transactions, 20 signatures and 20 certificates. One thread; on the wall, appending "
            "waits for the disk (synchronous=FULL) and for whatever else the machine does."
        ),
    }
    write_result("audit", payload)
    draw(rows, Path(__file__).parents[2] / "docs" / "images" / "audit.png")


if __name__ == "__main__":
    main()
