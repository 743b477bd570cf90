"""Two ways to ten million users on a host, side by side (docs/decisions/0062).

*Counts*: see ``benchmarks.neighbours.counts``. *Lists*: the packed posting lists that the service
holds, written once into files in memory and mapped by four processes; one of them follows the
feed and forgets in place, the others answer meanwhile. Whoever writes or reads the lists holds a
lock on a file. Here the lock is one of the whole; what the prototype leaves out is said in the ADR.

``python -m benchmarks.neighbours.host`` writes ``benchmarks/results/neighbours_host.json``; each
size and way in a process of its own.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np

from app.adapters.neighbours.query import Query
from app.adapters.neighbours.state import State
from app.adapters.neighbours.user_knn import UserKnn
from app.domain.models import ItemId, Pseudonym
from benchmarks.data import SEED, Ints
from benchmarks.harness import RESULTS, write_result
from benchmarks.neighbours import counts
from benchmarks.neighbours.run import spread
from benchmarks.neighbours.scaling import N_ITEMS, drawn
from benchmarks.neighbours.shared import Shared

SIZES: Final = (10_000, 100_000, 1_000_000, 10_000_000)
N_READERS: Final = 3
N_FORGETS: Final = 200
_PAUSE_S: Final = 0.005
_MOST_COUNTED: Final = 1_000_000
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a file system in memory is what is measured
_KNN: Final = UserKnn(n_neighbours=100, length_penalty=0.5, max_cells=2_000_000)


def own_mib(field: str) -> float:
    """Return what is this process's own, or its share of what it has in common with others."""
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8")
    return round(
        sum(map(int, re.findall(rf"^{field}:\s+(\d+) kB", rollup, re.MULTILINE))) / 1024, 1
    )


def _history(popular: list[ItemId], rng: np.random.Generator) -> list[ItemId]:
    return [popular[at] for at in rng.choice(len(popular), 20, replace=False)]


def reader(folder: Path, told: Connection) -> None:
    """Map the lists, answer until told to end, and say who of the forgotten is still there."""
    before = own_mib("Pss_Anon")
    begun = time.perf_counter()
    shared = Shared(folder)
    state = shared.mapped()
    attached_s = time.perf_counter() - begun
    told.send("ready")
    by_users = np.argsort(-state.postings.items.length)[:5_000].tolist()
    popular = [state.items.name(at) for at in by_users]
    rng = np.random.default_rng(os.getpid())
    waited, asked = [], []
    while not told.poll():
        query = Query.of(_history(popular, rng), recency=0.9)
        begun, used = time.perf_counter(), time.process_time()
        with shared.locked(fcntl.LOCK_SH):
            _KNN.scores(state, query)
        waited.append(1_000 * (time.perf_counter() - begun))
        asked.append(1_000 * (time.process_time() - used))
        time.sleep(_PAUSE_S)
    left = sum(state.users.find(user) is not None for user in told.recv())
    told.send(
        {
            "attached_s": round(attached_s, ndigits=3),
            "of_its_own_mib": round(own_mib("Pss_Anon") - before, ndigits=1),
            "wall_ms": waited,
            "cpu_ms": asked,
            "forgotten_found": left,
        }
    )


def lists(data: counts.Data) -> dict[str, object]:
    """Build, write, map, forget while three others answer, and compare with a rebuild."""
    n_users = len(data[1])
    resident = own_mib("Pss")
    begun = time.process_time()
    state = filled(data)
    built_s = time.process_time() - begun
    n_pairs = int(state.postings.users.length.sum())
    held = own_mib("Pss") - resident
    with tempfile.TemporaryDirectory(dir=_MEMORY) as named:
        shared = Shared(Path(named))
        begun = time.perf_counter()
        shared.write(state)
        written_s = time.perf_counter() - begun
        size = sum(path.stat().st_size for path in shared.folder.iterdir())
        del state
        gc.collect()
        found, forgets, digest = _forget_beside_readers(shared, n_users)
    rebuilt = filled(data, without=_forgotten(n_users)).frozen().digest()
    return {
        "users": n_users,
        "pairs": n_pairs,
        "bytes": size,
        "bytes_a_pair": round(size / n_pairs, ndigits=2),
        "resident_in_one_process_mib": round(held, ndigits=1),
        "fill_cpu_s": round(built_s, ndigits=1),
        "write_wall_s": round(written_s, ndigits=2),
        "attach_wall_s": [one["attached_s"] for one in found],
        "a_reader_of_its_own_mib": [one["of_its_own_mib"] for one in found],
        "forget_wall_ms": spread([wall for wall, _ in forgets]),
        "forget_cpu_ms": spread([cpu for _, cpu in forgets]),
        "recommend_cpu_ms": spread([one for told in found for one in told["cpu_ms"]]),
        "recommend_wall_ms": spread([one for told in found for one in told["wall_ms"]]),
        "forgotten_found_by_readers": sum(one["forgotten_found"] for one in found),
        "hash_equal_to_rebuild": digest == rebuilt,
    }


def made(n_users: int) -> counts.Data:
    """Make the data of so many users."""
    parts = [(items.astype(np.uint16), lengths) for items, lengths in drawn(n_users)]
    return np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts])


def filled(data: counts.Data, *, without: Ints | None = None) -> State:
    """Return the state of users in bulk: no hash of rows, which takes a look at each of them."""
    state, stays = State(dense_limit=0), np.ones(len(data[1]), dtype=np.bool_)
    if without is not None:
        stays[without] = False
    ids, lengths = _ids(len(stays))[stays], data[1][stays]
    cells = data[0][np.repeat(stays, data[1])]
    for item in range(N_ITEMS):
        state.items.take(ItemId(str(item)))
    state._fit_gram()  # noqa: SLF001 - none, for there are too many items
    state.postings.load(cells, lengths=lengths, n_items=N_ITEMS)
    for item in np.flatnonzero(state.postings.items.length == 0).tolist():
        state.items.drop(item)
    users = state.users
    users._ids, users._used = ids, len(ids)  # noqa: SLF001 - in bulk
    n_places = 1 << (4 * len(ids) // 3).bit_length()
    users._lay_out(np.arange(len(ids)), n_places=n_places)  # noqa: SLF001 - the same
    return state


def _ids(n_users: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    words = np.random.default_rng(SEED).integers(0, 2**64, (n_users, 4), dtype=np.uint64)
    return words.view(np.uint8)


def _forgotten(n_users: int) -> Ints:
    return np.random.default_rng(SEED).permutation(n_users)[:N_FORGETS]


def _forget_beside_readers(
    shared: Shared, n_users: int
) -> tuple[list[dict[str, Any]], list[tuple[float, float]], str]:
    """Return what each reader measured, times of a forget (wall, processor) and the hash."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(N_READERS)]
    processes = [context.Process(target=reader, args=(shared.folder, p)) for _, p in pipes]
    for process in processes:
        process.start()
    state = shared.mapped()
    for ours, _ in pipes:
        ours.recv()
    forgets = []
    gone = [Pseudonym(one.tobytes().hex()) for one in _ids(n_users)[_forgotten(n_users)]]
    for user in gone:
        begun, used = time.perf_counter(), time.process_time()
        with shared.locked(fcntl.LOCK_EX):
            state.set_user(user, ())
        forgets.append(
            (1_000 * (time.perf_counter() - begun), 1_000 * (time.process_time() - used))
        )
        time.sleep(_PAUSE_S)
    found = []
    for (ours, _), process in zip(pipes, processes, strict=True):
        ours.send(gone)
        found.append(ours.recv())
        process.join()
    return found, forgets, state.frozen().digest()


def main() -> None:
    """Measure sizes and ways, each in its own process, or one and print it.

    What the result file has of other sizes stays; each row has the load it was measured under.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--ways", nargs="+", choices=["lists", "counts"])
    parser.add_argument("--data", type=Path, help="where the data are made, or were made before")
    parser.add_argument("--here", action="store_true")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.ways[0], options.users[0], folder=options.data)))
        return
    with tempfile.TemporaryDirectory() as named:
        for way in options.ways or ["lists", "counts"]:
            for size in options.users:
                told = ["--ways", way, "--users", str(size), "--data", str(options.data or named)]
                command = [sys.executable, "-m", "benchmarks.neighbours.host", "--here", *told]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                print(way, done.stdout, flush=True)
                _note(way, json.loads(done.stdout))


def _note(way: str, row: dict[str, Any]) -> None:
    path = RESULTS / "neighbours_host.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rows = {name: before.get(name, []) for name in ("lists", "counts")}
    others = [one for one in rows[way] if one["users"] != row["users"]]
    rows[way] = sorted([*others, row], key=lambda one: int(one["users"]))
    facts = {"seed": SEED, "items": N_ITEMS, "readers": N_READERS}
    write_result("neighbours_host", {**facts, **rows})


def measure(way: str, n_users: int, *, folder: Path) -> dict[str, object]:
    """Measure one way at one size; the data are made once for both."""
    paths = [folder / f"{part}-{n_users}.npy" for part in ("items", "lengths")]
    if not paths[1].exists():
        items, lengths = made(n_users)
        np.save(paths[0], items)
        np.save(paths[1], lengths)
    data = np.load(paths[0]), np.load(paths[1])
    if way == "lists":
        found = lists(data)
    else:
        found = counts.measure(data) if n_users <= _MOST_COUNTED else counts.estimate(data)
    return found | {"load_average": [round(load, ndigits=1) for load in os.getloadavg()]}


if __name__ == "__main__":
    main()
