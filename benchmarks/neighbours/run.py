"""How long a forget takes, and whether the state is then the state that never knew the user.

ML-1M, all interactions: 1,000 random users are forgotten one after another; after every 100
the state's hash is compared with that of a state built from the rest. Then batches of 1, 5
and 10 % of the users, what a request costs before and after the refresh, and on ML-100K
whether every other user's list is the one of a rebuild.

``python -m benchmarks.neighbours.run`` writes ``benchmarks/results/neighbours.json``.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeVar

import numpy as np

from app.adapters.neighbours import ExactNeighbours
from app.adapters.neighbours.state import State
from app.adapters.neighbours.weighing import Weighing
from app.domain.models import ItemId, Pseudonym
from app.settings_groups import NeighboursSettings
from benchmarks.data import SEED, Dataset, load
from benchmarks.harness import write_result
from benchmarks.quality.models import as_served

LIMIT: Final = 10_000
N_FORGETS: Final = 1000
CHECK_EVERY: Final = 100

Histories = dict[Pseudonym, list[ItemId]]
Result = TypeVar("Result")


def histories_of(dataset: Dataset) -> Histories:
    """Return the data as the service sees them: pseudonyms of 64 hex digits and item ids."""
    return {
        Pseudonym(f"{user:064x}"): [ItemId(dataset.item_ids[item]) for item in row.tolist()]
        for user, row in enumerate(dataset.histories)
    }


def timed(work: Callable[[], Result]) -> tuple[Result, float, float]:
    """Run ``work``; return its result, wall milliseconds and this thread's CPU milliseconds."""
    wall, cpu = time.perf_counter(), time.thread_time()
    result = work()
    return result, 1e3 * (time.perf_counter() - wall), 1e3 * (time.thread_time() - cpu)


def spread(values: list[float]) -> dict[str, float]:
    """Return median, 99th percentile and maximum, rounded to microseconds."""
    return {
        "p50": round(float(np.median(values)), 4),
        "p99": round(float(np.quantile(values, 0.99)), 4),
        "max": round(max(values), 4),
        "n": len(values),
    }


def rebuilt(histories: Mapping[Pseudonym, list[ItemId]]) -> State:
    """Return the state built from scratch."""
    usual = NeighboursSettings().ease_lambda
    state = State(dense_limit=LIMIT, weighing=Weighing(regularisation=usual, is_graded=True))
    state.load(histories.items())
    return state


def built(histories: Mapping[Pseudonym, list[ItemId]]) -> ExactNeighbours:
    """Return neighbours with their model, built from scratch."""
    neighbours = as_served(dense_limit=LIMIT)
    neighbours.build(histories.items())
    return neighbours


def forget_one_by_one(histories: Histories) -> dict[str, object]:
    """Forget 1,000 random users; check against a rebuild after every 100."""
    neighbours, left = built(histories), dict(histories)
    chosen = np.random.default_rng(SEED).permutation(sorted(histories))[:N_FORGETS]
    walls, cpus, equal, rebuilds = [], [], [], []
    for number, user in enumerate(map(Pseudonym, chosen.tolist()), start=1):
        _, wall, cpu = timed(partial(neighbours.apply, {user: ()}))
        walls.append(wall)
        cpus.append(cpu)
        del left[user]
        if number % CHECK_EVERY == 0:
            state, _, rebuild_cpu = timed(partial(rebuilt, left))
            rebuilds.append(rebuild_cpu)
            equal.append(state.frozen().digest() == neighbours.state_hash(in_full=True))
    _, refresh_wall, refresh_cpu = timed(neighbours.refresh)
    fresh = built(left)
    same = [
        neighbours.recommend(items, top_n=20) == fresh.recommend(items, top_n=20)
        for items in left.values()
    ]
    median_cpu = float(np.median(cpus))
    return {
        "forget_wall_ms": spread(walls),
        "forget_cpu_ms": spread(cpus),
        "hash_equal_to_rebuild": f"{sum(equal)} of {len(equal)}",
        "rebuild_state_cpu_ms": spread(rebuilds),
        "refresh_wall_ms": round(refresh_wall, 1),
        "refresh_cpu_ms": round(refresh_cpu, 1),
        "rebuild_over_forget": round(float(np.median(rebuilds)) / median_cpu),
        "refit_over_forget": round(refresh_cpu / median_cpu),
        "lists_equal_to_rebuild": f"{sum(same)} of {len(same)}",
    }


def forget_batches(histories: Histories) -> list[dict[str, object]]:
    """Forget 1, 5 and 10 % of the users at once."""
    rows: list[dict[str, object]] = []
    for share in (0.01, 0.05, 0.10):
        neighbours = built(histories)
        names = np.random.default_rng([SEED, 2]).permutation(sorted(histories))
        chosen = [Pseudonym(name) for name in names[: round(share * len(names))].tolist()]
        left = {user: items for user, items in histories.items() if user not in set(chosen)}
        _, forget_wall, _ = timed(partial(neighbours.apply, dict.fromkeys(chosen, ())))
        state, rebuild_wall, _ = timed(partial(rebuilt, left))
        _, refresh_wall, _ = timed(neighbours.refresh)
        rows.append(
            {
                "share": share,
                "users": len(chosen),
                "forget_wall_ms": round(forget_wall, 1),
                "rebuild_state_wall_ms": round(rebuild_wall, 1),
                "refresh_wall_ms": round(refresh_wall, 1),
                "hash_equal_to_rebuild": state.frozen().digest()
                == neighbours.state_hash(in_full=True),
            }
        )
    return rows


def answer_times(histories: Histories) -> dict[str, object]:
    """Time a request: with a fresh model, first and later after a forget, and by user-kNN."""
    neighbours = built(histories)
    by_postings = as_served(dense_limit=0)
    by_postings.build(histories.items())
    popular = [scored.item_id for scored in neighbours.popular(top_n=2000)]
    rng = np.random.default_rng([SEED, 3])
    rows: dict[str, object] = {}
    for length in (20, 100, 500):
        asked = [
            [popular[at] for at in rng.choice(2000, length, replace=False)] for _ in range(100)
        ]
        for name, server in (("ease", neighbours), ("user_knn", by_postings)):
            times = [timed(partial(server.recommend, history, top_n=50))[2] for history in asked]
            rows[f"{name}_h{length}_cpu_ms"] = spread(times)
    first, later, history = [], [], popular[:100]
    for user in rng.permutation(sorted(histories))[:50].tolist():
        neighbours.apply({Pseudonym(user): ()})
        first.append(timed(partial(neighbours.recommend, history, top_n=50))[1])
        later.append(timed(partial(neighbours.recommend, history, top_n=50))[1])
    rows["downdate_first_answer_wall_ms"] = spread(first)
    rows["downdate_later_answer_wall_ms"] = spread(later)
    before = {s.item_id: s.score for s in neighbours.recommend(history, top_n=200)}
    neighbours.refresh()
    after = {s.item_id: s.score for s in neighbours.recommend(history, top_n=200)}
    rows["downdate_of_50_users_max_score_error"] = max(
        abs(score - after[item]) for item, score in before.items() if item in after
    )
    return rows


def collateral(histories: Histories) -> dict[str, object]:
    """Forget 50 users in turn, each with its refresh; compare everybody else's top 20."""
    neighbours, left, equal, total = built(histories), dict(histories), 0, 0
    for user in np.random.default_rng([SEED, 4]).permutation(sorted(histories))[:50].tolist():
        neighbours.apply({Pseudonym(user): ()})
        neighbours.refresh()
        del left[Pseudonym(user)]
        fresh = built(left)
        for items in left.values():
            total += 1
            same = neighbours.recommend(items, top_n=20) == fresh.recommend(items, top_n=20)
            equal += same
    return {"forgets": 50, "lists": total, "equal_to_rebuild": equal, "share": equal / total}


def main() -> None:
    """Run everything and write the result."""
    large, small = histories_of(load("ml-1m")), histories_of(load("ml-100k"))
    state = rebuilt(large)
    document: dict[str, object] = {
        "seed": SEED,
        "data": "ML-1M as implicit lists, 6,040 users, 3,695 items, 920,193 pairs",
        "state_mib": round(state.nbytes / 2**20, 1),
        "model_mib": round(12 * len(state.items.number) ** 2 / 2**20, 1),
        "forget_one": forget_one_by_one(large),
        "forget_batches": forget_batches(large),
        "answers": answer_times(large),
        "collateral_ml_100k": collateral(small),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(write_result("neighbours", document).read_text("utf-8"))


if __name__ == "__main__":
    main()
