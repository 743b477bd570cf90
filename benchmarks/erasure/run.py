"""What is left of five users on disk after each way of erasing them, by the same probe.

Every procedure gets the same records in a directory of its own. The probe searches it before (all
must be found: its control) and after (what is found is left), with the canary user's records as
the control of the second search. Lethe runs without its encryption here: the scrub alone counts.

``python -m benchmarks.erasure.run [--peers]`` writes ``benchmarks/results/erasure.json`` and
``docs/images/erasure.png``. ``--peers`` adds LanceDB and mem0, each installed into an environment
of its own, and writes ``erasure_peers`` instead: a run without them must not overwrite theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from app.adapters.chroma.heap import VALUE, VARIABLE
from app.adapters.probe.process import FileProbe
from app.adapters.probe.stores import ProbedStore, StoreFormat
from app.domain.erasure.residue import NeedleKind, Needles, ProbeReport
from benchmarks.erasure.picture import draw
from benchmarks.erasure.plantation import N_LEAVING, PER_USER, Plantation, plant
from benchmarks.erasure.procedures import CHROMA, Procedure
from benchmarks.harness import write_result

SEED: Final = 8
SIZES: Final = (1_000, 10_000)
MEM0_UP_TO: Final = 1_000  # it adds one record at a time
PEERS: Final = Path(__file__).parent / "peers"
PACKAGES: Final = {
    "lancedb": ("lancedb==0.40.0", "numpy==2.4.6"),
    "mem0": ("mem0ai==2.2.1", "chromadb==1.5.9", "numpy==2.4.6"),
}
KINDS: Final = (NeedleKind.DOCUMENT, NeedleKind.VECTOR, NeedleKind.ID, NeedleKind.PSEUDONYM)


@dataclass(frozen=True, slots=True)
class Subject:
    """A procedure as the benchmark sees it.

    Args:
        fill: writes all records; returns the ids where they are not the planted ones.
        erase: makes the leaving users leave; returns seconds.
        stores: what to search below a directory.
    """

    name: str
    fill: Callable[[Path, Plantation], tuple[str, ...] | None]
    erase: Callable[[Path, Plantation], float]
    stores: Callable[[Path], list[ProbedStore]]


def chroma_stores(directory: Path) -> list[ProbedStore]:
    """Return the one store of a Chroma directory."""
    return [ProbedStore("chroma", StoreFormat.CHROMA, directory, frozenset(KINDS))]


def lance_stores(directory: Path) -> list[ProbedStore]:
    """Return the one store of a LanceDB directory."""
    return [ProbedStore("lancedb", StoreFormat.DIRECTORY, directory, frozenset(KINDS))]


def mem0_stores(directory: Path) -> list[ProbedStore]:
    """Return mem0's vector store and its history."""
    history = frozenset({NeedleKind.DOCUMENT, NeedleKind.ID})
    return [
        *chroma_stores(directory / "chroma"),
        ProbedStore("history", StoreFormat.SQLITE, directory / "history.db", history),
    ]


def in_process(procedure: Procedure) -> Subject:
    """Wrap a Chroma procedure."""

    def fill(directory: Path, plantation: Plantation) -> None:
        procedure.fill(directory, plantation)

    return Subject(procedure.name, fill, procedure.erase, chroma_stores)


def in_own_process(
    name: str,
    *,
    program: Sequence[str],
    action: str,
    stores: Callable[[Path], list[ProbedStore]],
    variables: Mapping[str, str] | None = None,
) -> Subject:
    """Wrap a program that is called with an action, a directory and the plantation's file."""

    def call(action: str, directory: Path, plantation: Plantation) -> Any:  # noqa: ANN401 - JSON
        file = directory.with_suffix(".npz")
        plantation.save(file)
        command = [*program, action, str(directory), str(file)]
        environment = {k: v for k, v in os.environ.items() if k != VARIABLE} | dict(variables or {})
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1])

    def fill(directory: Path, plantation: Plantation) -> tuple[str, ...]:
        return tuple(call("fill", directory, plantation))

    return Subject(name, fill, partial(call, action), stores)


def lethe() -> list[Subject]:
    """Return Lethe as it runs, and without the setting of malloc that it starts with."""
    program = [sys.executable, "-m", "benchmarks.erasure.lethe_user"]
    make = partial(in_own_process, program=program, action="erase", stores=chroma_stores)
    return [
        make("Lethe", variables={VARIABLE: VALUE}),
        make("Lethe, freed memory not overwritten"),
    ]


def environment(folder: Path, *, packages: Sequence[str]) -> Path:
    """Make an environment with these packages; return its interpreter."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def share_left(reports: Sequence[ProbeReport], needles: Needles) -> dict[str, float]:
    """Return of each kind the share of needles that a store still holds, the worst store's."""
    return {
        kind: max(dict(report.left).get(kind, 0) for report in reports) / needles.count(kind)
        for kind in KINDS
    }


def measure(subject: Subject, *, n_records: int, folder: Path) -> dict[str, object]:
    """Fill, search, erase, search again; return one row of the result."""
    plantation = plant(n_records, seed=SEED)
    directory = folder / "store"
    ids = subject.fill(directory, plantation)
    needles = plantation.needles(plantation.leaving, ids=ids)
    canary = plantation.needles(plantation.canary, ids=ids)
    probe = FileProbe(subject.stores(directory))
    (before,) = probe.search([needles], control=canary)
    seconds = subject.erase(directory, plantation)
    started = time.perf_counter()
    (after,) = probe.search([needles], control=canary)
    row = {
        "procedure": subject.name,
        "records": n_records,
        "erase_s": round(seconds, 4),
        "probe_s": round(time.perf_counter() - started, 4),
        "bytes_searched": sum(report.bytes_read for report in after),
        "found_before": share_left(before, needles),
        "left": share_left(after, needles),
        "control_found": all(report.control_found for report in (*before, *after)),
        "files_with_residue": sorted(
            {f"{report.store}/{Path(f.file).name}" for report in after for f in report.findings}
        ),
    }
    left = " ".join(f"{k}={share:.0%}" for k, share in share_left(after, needles).items())
    print(f"{subject.name:48} {n_records:7,} {seconds:8.2f} s   left: {left}", flush=True)
    return row


def peers(folder: Path) -> list[Subject]:
    """Install the peers and return their procedures."""
    lance = environment(folder / "lancedb", packages=PACKAGES["lancedb"])
    mem0 = environment(folder / "mem0", packages=PACKAGES["mem0"])
    in_lance = partial(
        in_own_process, program=[str(lance), str(PEERS / "lancedb_user.py")], stores=lance_stores
    )
    return [
        in_lance("LanceDB: delete", action="delete"),
        in_lance("LanceDB: delete, then optimize", action="optimize"),
        in_own_process(
            "mem0 over Chroma: delete_all",
            program=[str(mem0), str(PEERS / "mem0_user.py")],
            action="delete",
            stores=mem0_stores,
        ),
    ]


def main(arguments: Sequence[str]) -> None:
    """Run every procedure at every size, write the result and its picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", action="store_true", help="LanceDB and mem0, too")
    options = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory(prefix="lethe-erasure-") as name:
        subjects = [*map(in_process, CHROMA), *lethe()]
        subjects += peers(Path(name) / "environments") if options.peers else []
        for size in SIZES:
            for subject in subjects:
                if subject.name.startswith("mem0") and size > MEM0_UP_TO:
                    continue
                with tempfile.TemporaryDirectory(dir=name) as folder:
                    rows.append(measure(subject, n_records=size, folder=Path(folder)))
    method = (
        f"{N_LEAVING} of the users with {PER_USER} records of 384 dimensions each leave; wall "
        "time of the erasure alone, store open; shares of needles still in the files."
    )
    packages = {name: list(pins) for name, pins in PACKAGES.items()} if options.peers else {}
    result = "erasure_peers" if options.peers else "erasure"
    write_result(result, {"seed": SEED, "method": method, "rows": rows, "peer_packages": packages})
    draw(rows, Path(__file__).parents[2] / f"docs/images/{result}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
