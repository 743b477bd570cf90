"""Seconds of scrub, flush, VACUUM and probe by the size of a shard.

One shard holds everything, so its size is the database's as well: scrub and flush cost by shard,
the other two by database. Each repetition erases another user with 20 memories of 256 dimensions.

``python -m benchmarks.erasure.shards [--sizes …]`` writes ``results/erasure_shards.json`` and
``docs/images/erasure_shards.png``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.heap import require_overwritten_heap
from app.adapters.chroma.layout import CollectionSpec
from app.adapters.chroma.maintenance_process import run_maintenance
from app.adapters.chroma.memory import ChromaMemoryStore
from app.adapters.chroma.scrub import flush, scrub
from app.adapters.probe.process import FileProbe
from app.adapters.probe.stores import ProbedStore, StoreFormat
from app.domain.erasure.request import ErasureOrder
from app.domain.erasure.residue import NeedleKind, Needles
from app.domain.models import Pseudonym, RecordId, RequestId
from app.ports.memory_store import Memory
from benchmarks.harness import write_result

mpl.use("Agg")
from matplotlib import pyplot as plt

SEED: Final = 8
DIM: Final = 256
PER_USER: Final = 20
SIZES: Final = (1_000, 5_000, 20_000, 50_000)
REPEATED: Final = 3
KINDS: Final = frozenset(
    {NeedleKind.DOCUMENT, NeedleKind.VECTOR, NeedleKind.ID, NeedleKind.PSEUDONYM}
)
_BATCH: Final = 1_000
PICTURE: Final = Path(__file__).parents[2] / "docs/images/erasure_shards.png"


def memories(n_records: int, *, seed: int) -> list[Memory]:
    """Return records of users, PER_USER each, in random directions."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n_records, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    users = [Pseudonym(rng.bytes(32).hex()) for _ in range(-(-n_records // PER_USER))]
    return [
        Memory(RecordId(rng.bytes(16).hex()), users[row // PER_USER], rng.bytes(60).hex(), vector)
        for row, vector in enumerate(vectors)
    ]


def _needles(store: ChromaMemoryStore, order: ErasureOrder) -> Needles:
    found = store.collect(order)
    return Needles(
        documents=tuple(memory.document for memory in found),
        ids=tuple(memory.record_id for memory in found),
        pseudonyms=(order.pseudonym,),
        vectors=tuple(memory.embedding for memory in found),
    )


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def measure(n_records: int, directory: Path) -> dict[str, Any]:
    """Fill a shard, erase some users, each in the four moves; return medians of seconds."""
    rows = memories(n_records, seed=SEED)
    spec = CollectionSpec("bench", DIM, n_shards=1)
    stores = [ProbedStore("memory", StoreFormat.CHROMA, directory, KINDS)]
    moves: dict[str, list[float]] = {"scrub": [], "flush": [], "vacuum": [], "probe": []}
    residue, controls, read = 0, 0, 0
    with ChromaDatabase.embedded(directory) as database:
        store = ChromaMemoryStore(database, spec=spec)
        started = time.perf_counter()
        for start in range(0, n_records, _BATCH):
            store.add(rows[start : start + _BATCH])
        filling_s = time.perf_counter() - started
        (shard,) = database.collections()
        users = list(dict.fromkeys(row.pseudonym for row in rows))
        orders = [
            ErasureOrder(RequestId("0" * 32), user, is_whole_user=True, record_ids=())
            for user in users
        ]
        canary = _needles(store, orders[0])
        for order in orders[1 : 1 + REPEATED]:
            needles = _needles(store, order)
            ids = [RecordId(record_id) for record_id in needles.ids]
            moves["scrub"].append(_seconds(partial(scrub, shard, ids, dim=DIM)))
            moves["flush"].append(_seconds(lambda: flush(shard)))
            moves["vacuum"].append(_seconds(lambda: run_maintenance(directory)))
            started = time.perf_counter()
            (reports,) = FileProbe(stores).search([needles], control=canary)
            moves["probe"].append(time.perf_counter() - started)
            residue += sum(report.residue for report in reports)
            controls += all(report.control_found for report in reports)
            read = sum(report.bytes_read for report in reports)
    return {
        "memories": n_records,
        "fill_s": round(filling_s, 1),
        "median_s": {name: round(statistics.median(one), 4) for name, one in moves.items()},
        "seconds": {name: [round(each, 4) for each in one] for name, one in moves.items()},
        "residue": residue,
        "controls_found": controls,
        "of": REPEATED,
        "bytes_read": read,
        "load_average": [round(load, ndigits=1) for load in os.getloadavg()],
    }


def draw(rows: Sequence[dict[str, Any]]) -> None:
    """Draw the medians by size."""
    figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
    sizes = [row["memories"] for row in rows]
    for name in rows[0]["median_s"]:
        axes.plot(sizes, [row["median_s"][name] for row in rows], "o-", label=name)
    axes.set(xscale="log", yscale="log", xlabel="memories in the shard", ylabel="seconds")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(PICTURE, dpi=130)
    plt.close(figure)


def main() -> None:
    """Measure each size; write after each; draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    options = parser.parse_args()
    rows = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="lethe-shards-") as name:
            rows.append(measure(size, Path(name)))
        print(rows[-1], flush=True)
        write_result("erasure_shards", {"seed": SEED, "per_user": PER_USER, "rows": rows})
    draw(rows)


if __name__ == "__main__":
    require_overwritten_heap()
    main()
