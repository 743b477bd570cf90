"""Ten thousand one-pass answers of a real vLLM: how many cannot be read.

    python -m benchmarks.llm.many [--answers 10000] [--seed 2026]

Any number of candidates from 1 to 52, any number of memories from 0 to 8, every fifth title
hostile (``benchmarks.llm.injection``), 8 clients. An answer counts as read when it has one finite
log-probability for each candidate and they sum to one. It writes
``benchmarks/results/llm_many.json``.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from app.domain.errors import DependencyUnavailableError, RankerError
from app.ports.ranker import RankingTask
from benchmarks.harness import write_result
from benchmarks.llm.forms import Forms, Tasks
from benchmarks.llm.injection import with_hostile_titles
from benchmarks.llm.served import served_model

CLIENTS: Final = 8
MOST_CANDIDATES: Final = 52
MOST_MEMORIES: Final = 8


def outcome(forms: Forms, task: RankingTask) -> str:
    """Return ``read``, or what was wrong."""
    try:
        found = forms.one_pass.rank(task).log_probabilities
    except (DependencyUnavailableError, RankerError) as error:
        return error.code
    ids = {one.item_id for one in task.candidates}
    total = math.fsum(math.exp(value) for value in found.values())
    if found.keys() != ids or not math.isclose(total, 1.0, abs_tol=1e-6):
        return "not a distribution over the candidates"
    return "read"


def hostile_task(tasks: Tasks, number: int) -> RankingTask:
    """Return the task of this number: every size in turn."""
    task = tasks.task(
        n_candidates=1 + number % MOST_CANDIDATES,
        n_memories=(number // MOST_CANDIDATES) % (MOST_MEMORIES + 1),
    )
    return with_hostile_titles(task, seed=number)


def main() -> None:
    """Ask, count, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    tasks = Tasks(seed=options.seed)
    with served_model() as llm:
        forms = Forms(llm)
        asked = [hostile_task(tasks, number) for number in range(options.answers)]
        started = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            counted = Counter(pool.map(lambda one: outcome(forms, one), asked))
        spent_s = time.perf_counter() - started
    payload = {
        "seed": options.seed,
        "answers": options.answers,
        "outcomes": dict(counted),
        "unreadable": options.answers - counted["read"],
        "clients": CLIENTS,
        "answers_per_s": round(options.answers / spent_s, 1),
        "prompt": forms.prompt_id,
    }
    print(payload)
    print(write_result("llm_many", payload))


if __name__ == "__main__":
    main()
