"""Time, tokens and failures of ranking in one pass and by JSON, on one server and model.

    python -m benchmarks.llm.speed [--seed 2026]

A vLLM serves the real model. Forms take turns, so that a busy machine slows all alike, for 10, 20
and 50 candidates and 1 and 4 clients. Prompts are new (a fresh cache salt each call); ``held``
are one-pass calls that repeat a prompt, which the server's prefix cache holds.

It writes ``benchmarks/results/llm_speed.json`` (times in milliseconds): for each number of
candidates and clients the median, p95, tokens and failures of each form, and the ratio of its
median to that of one pass; ``without_a_mask``: how many JSON answers, to ten candidates and with
nothing that holds the model to the schema, cannot be read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import numpy as np

from app.adapters.llm.client import LlmChannel, LlmServer
from app.domain.errors import DependencyUnavailableError, RankerError
from app.ports.ranker import RankingTask
from benchmarks.harness import write_result
from benchmarks.llm.forms import Answered, Forms, Tasks
from tests.servers.vllm import REAL, vllm_server

SIZES: Final = (10, 20, 50)
CLIENTS: Final = (1, 4)
ROUNDS: Final[dict[int, int]] = {1: 3, 4: 1}
"""Rounds by number of clients; in a round each form is asked once by each client."""
N_FREE: Final = 10
GOAL_SPEED_UP: Final = 20
Ask = Callable[[RankingTask], Answered]


@dataclass
class Tally:
    """What came of one form's calls."""

    times_ms: list[float] = field(default_factory=list)
    prompt_tokens: list[int] = field(default_factory=list)
    completion_tokens: list[int] = field(default_factory=list)
    failures: int = 0

    def add(self, ask: Ask, task: RankingTask) -> None:
        """Ask once; list.append is atomic, so clients may share a tally."""
        started = time.perf_counter()
        try:
            answered = ask(task)
        except (DependencyUnavailableError, RankerError):
            self.failures += 1
            return
        self.times_ms.append(1000 * (time.perf_counter() - started))
        self.prompt_tokens.append(answered.prompt_tokens)
        self.completion_tokens.append(answered.completion_tokens)

    def figures(self) -> dict[str, float]:
        """Return median, p95, tokens and failures."""
        return spread(self.times_ms) | {
            "prompt_tokens": round(float(np.median(self.prompt_tokens))),
            "completion_tokens": round(float(np.median(self.completion_tokens))),
            "failures": self.failures,
        }


def spread(times_ms: Sequence[float]) -> dict[str, float]:
    """Return median, p95 and count."""
    median, p95 = np.percentile(times_ms, [50, 95])
    return {
        "median_ms": round(float(median), 2),
        "p95_ms": round(float(p95), 2),
        "calls": len(times_ms),
    }


def race(forms: Forms, tasks: Tasks, *, n_candidates: int, clients: int) -> dict[str, object]:
    """Return the figures of every form at one size and one number of clients."""
    held = [tasks.task(n_candidates=n_candidates) for _ in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(forms.in_one_pass, held))
        tallies = {name: Tally() for name in (*forms.by_name, "one_pass_held")}
        for _ in range(ROUNDS[clients]):
            for name, ask in forms.by_name.items():
                new = [tasks.fresh(one) for one in held]
                list(pool.map(lambda one, ask=ask, name=name: tallies[name].add(ask, one), new))
            again = tallies["one_pass_held"]
            list(pool.map(lambda one, to=again: to.add(forms.in_one_pass, one), held))
    figures: dict[str, dict[str, float]] = {name: one.figures() for name, one in tallies.items()}
    for name in forms.by_name:
        for base in ("one_pass", "one_pass_held"):
            ratio = figures[name]["median_ms"] / figures[base]["median_ms"]
            figures[name][f"times_{base}"] = round(ratio, 2)
    return dict(figures)


def unparsable(forms: Forms, tasks: Tasks) -> dict[str, int]:
    """Return how many written answers cannot be read, asked for as CRAGRU does, without a mask."""
    tally = Tally()
    for _ in range(N_FREE):
        tally.add(forms.freely, tasks.task(n_candidates=10))
    return {"answers": N_FREE, "unparsable": tally.failures}


def measure(forms: Forms, tasks: Tasks) -> dict[str, object]:
    """Return every figure."""
    races = {}
    for n_candidates in SIZES:
        for clients in CLIENTS:
            name = f"{n_candidates} candidates, {clients} clients"
            races[name] = race(forms, tasks, n_candidates=n_candidates, clients=clients)
            print(name, races[name], flush=True)
    return {
        "races": races,
        "without_a_mask": unparsable(forms, tasks),
        "goals": {"speed_up": GOAL_SPEED_UP},
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    with (
        TemporaryDirectory() as folder,
        vllm_server(Path(folder), model=REAL) as server,
        closing(LlmChannel()) as channel,
    ):
        version = httpx.get(f"{server.base_url}/version", trust_env=False).json()["version"]
        llm = LlmServer(server.base_url, model=server.model, channel=channel)
        forms = Forms(llm)
        figures = measure(forms, Tasks(seed=options.seed))
    path = write_result(
        "llm_speed",
        figures
        | {
            "seed": options.seed,
            "model": server.model,
            "prompt": forms.prompt_id,
            "vllm": version,
        },
    )
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
