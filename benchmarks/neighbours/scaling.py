"""Whether a forget takes longer when there are more users: up to 1,000,000 x 60,000 items.

Synthetic: item popularity is Zipf(0.9), users belong to 200 clusters that prefer a slice of
the catalogue, activity is log-normal. Above ``dense_limit``, so the posting lists are the
whole state. Each size runs in a process of its own, so that its memory is its own.

``python -m benchmarks.neighbours.scaling`` writes ``benchmarks/results/neighbours_scaling.json``.
With ``--before TREE`` the largest size is measured in another checkout, too, in the same run.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from app.domain.models import ItemId, Pseudonym
from benchmarks.data import SEED, Ints
from benchmarks.harness import write_result
from benchmarks.neighbours.run import spread, timed
from benchmarks.quality.models import as_served

N_ITEMS: Final = 60_000
SIZES: Final = (10_000, 100_000, 1_000_000)
N_FORGETS: Final = 2000
N_CLUSTERS: Final = 200
_CHUNK: Final = 10_000


def drawn(n_users: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield the items of 10,000 users at a time, and how many each has; each item once."""
    for names, lengths in _draws(n_users):
        owner = np.repeat(np.arange(len(lengths)), lengths)
        # The first of an item that a user drew twice, in the order of the draws.
        _, first = np.unique(owner * N_ITEMS + names, return_index=True)
        first.sort()
        yield names[first], np.bincount(owner[first], minlength=len(lengths))


def synthetic(n_users: int) -> Iterator[tuple[Pseudonym, list[ItemId]]]:
    """Yield users with 15 items in the mean; half of the draws come from the user's cluster."""
    for begin, (items, lengths) in zip(range(0, n_users, _CHUNK), _draws(n_users), strict=True):
        names, ends = items.astype("U").tolist(), np.cumsum(lengths)
        for row in range(len(lengths)):
            own = names[ends[row] - lengths[row] : ends[row]]
            yield Pseudonym(f"{begin + row:064x}"), [ItemId(item) for item in own]


def _draws(n_users: int) -> Iterator[tuple[Ints, Ints]]:
    weights = 1 / np.arange(1, N_ITEMS + 1) ** 0.9
    borders = np.cumsum(weights / weights.sum())
    for begin in range(0, n_users, _CHUNK):
        rng = np.random.default_rng([SEED, begin])
        size = min(_CHUNK, n_users - begin)
        lengths = np.clip(np.exp(rng.normal(2.4, 1.0, size)).astype(np.int64), 1, 3000)
        owner = np.repeat(np.arange(size), lengths)
        items = np.searchsorted(borders, rng.random(len(owner))).clip(0, N_ITEMS - 1)
        cluster = rng.integers(0, N_CLUSTERS, size)[owner]
        local = rng.random(len(owner)) < 0.5
        items[local] = (items[local] // N_CLUSTERS) * N_CLUSTERS + cluster[local]
        yield items % N_ITEMS, lengths


def rss_mib() -> float:
    """Return this process's peak resident memory."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def resident_mib() -> float:
    """Return what of this process is in memory now."""
    (kib,) = re.findall(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    return int(kib) / 1024


def measure(n_users: int) -> dict[str, object]:
    """Build, forget 2,000 random users, compare the hash with a rebuild, and ask."""
    before = rss_mib()
    neighbours = as_served()
    begun = time.process_time()
    neighbours.build(synthetic(n_users))
    built_s = time.process_time() - begun
    generated = time.process_time()
    n_pairs = sum(len(set(items)) for _, items in synthetic(n_users))
    generated_s = time.process_time() - generated
    memory = rss_mib() - before
    gc.collect()
    resident = resident_mib() - before
    gc.freeze()  # a full collection, rare in a server, would walk all ids in the middle of a forget
    chosen: Ints = np.random.default_rng(SEED).permutation(n_users)[:N_FORGETS]
    names = [Pseudonym(f"{user:064x}") for user in chosen.tolist()]
    forgets = [timed(partial(neighbours.apply, {name: ()})) for name in names]
    popular = [scored.item_id for scored in neighbours.popular(top_n=5000)]
    answers = {}
    for length in (20, 100):
        rng = np.random.default_rng([SEED, length])
        asked = [[popular[at] for at in rng.choice(5000, length, replace=False)] for _ in range(50)]
        answers[f"user_knn_h{length}_cpu_ms"] = spread(
            [timed(partial(neighbours.recommend, history, top_n=50))[2] for history in asked]
        )
    document = {
        "users": n_users,
        "pairs": n_pairs,
        "start_up_cpu_s": round(built_s - generated_s, 1),
        "peak_rss_mib_of_state": round(memory, ndigits=1),
        "resident_mib_of_state": round(resident, ndigits=1),
        "forget_cpu_ms": spread([cpu for _, _, cpu in forgets]),
        "forget_wall_ms": spread([wall for _, wall, _ in forgets]),
        **answers,
    }
    gone = set(names)
    left = ((user, items) for user, items in synthetic(n_users) if user not in gone)
    rebuilt = as_served()
    rebuilt.build(left)
    hashed, _, hash_ms = timed(partial(neighbours.state_hash, in_full=True))
    document["hash_equal_to_rebuild"] = hashed == rebuilt.state_hash(in_full=True)
    document["hash_cpu_ms"] = round(hash_ms, 1)
    return document


def main() -> None:
    """Measure every size in its own process, or one size and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int)
    parser.add_argument("--before", type=Path, help="another checkout")
    options = parser.parse_args()
    if options.users:
        print(json.dumps(measure(options.users)))
        return
    document: dict[str, object] = {"seed": SEED, "items": N_ITEMS, "forgets": N_FORGETS}
    if options.before:
        document["before"] = _in_a_process(SIZES[-1], tree=options.before)
    rows = []
    for size in SIZES:
        rows.append(_in_a_process(size, tree=Path.cwd()))
        print(rows[-1], flush=True)
    write_result("neighbours_scaling", document | {"sizes": rows})


def _in_a_process(n_users: int, *, tree: Path) -> object:
    """Measure one size with the code of a checkout."""
    command = [sys.executable, "-m", "benchmarks.neighbours.scaling", "--users", str(n_users)]
    done = subprocess.run(
        command,
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
