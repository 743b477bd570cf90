"""Whether a forget takes longer when there are more users: up to 1,000,000 x 60,000 items.

Synthetic: item popularity is Zipf(0.9), users belong to 200 clusters that prefer a slice of
the catalogue, activity is log-normal. Above ``dense_limit``, so the posting lists are the
whole state. Each size runs in a process of its own, so that its memory is its own.

``python -m benchmarks.neighbours.scaling`` writes ``benchmarks/results/neighbours_scaling.json``.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
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


def synthetic(n_users: int) -> Iterator[tuple[Pseudonym, list[ItemId]]]:
    """Yield users with 15 items in the mean; half of the draws come from the user's cluster."""
    weights = 1 / np.arange(1, N_ITEMS + 1) ** 0.9
    borders = np.cumsum(weights / weights.sum())
    for begin in range(0, n_users, _CHUNK):
        rng = np.random.default_rng([SEED, begin])
        size = min(_CHUNK, n_users - begin)
        lengths = np.clip(np.exp(rng.normal(2.4, 1.0, size)).astype(np.int64), 1, 3000)
        owner = np.repeat(np.arange(size), lengths)
        drawn = np.searchsorted(borders, rng.random(len(owner))).clip(0, N_ITEMS - 1)
        cluster = rng.integers(0, N_CLUSTERS, size)[owner]
        local = rng.random(len(owner)) < 0.5
        drawn[local] = (drawn[local] // N_CLUSTERS) * N_CLUSTERS + cluster[local]
        names = (drawn % N_ITEMS).astype("U").tolist()
        ends = np.cumsum(lengths)
        for row in range(size):
            items = names[ends[row] - lengths[row] : ends[row]]
            yield Pseudonym(f"{begin + row:064x}"), [ItemId(item) for item in items]


def rss_mib() -> float:
    """Return this process's peak resident memory."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


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
        "peak_rss_mib_of_state": memory,
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
    options = parser.parse_args()
    if options.users:
        print(json.dumps(measure(options.users)))
        return
    rows = []
    for size in SIZES:
        command = [sys.executable, "-m", "benchmarks.neighbours.scaling", "--users", str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout))
        print(done.stdout, flush=True)
    document = {"seed": SEED, "items": N_ITEMS, "forgets": N_FORGETS, "sizes": rows}
    write_result("neighbours_scaling", document)


if __name__ == "__main__":
    main()
