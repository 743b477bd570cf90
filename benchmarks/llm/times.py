"""How long a list takes that the real model ranks, in each form: for the first time, and again.

    python -m benchmarks.llm.times [--people 30] [--seed 2026]

The demo set in a service with its defaults (50 candidates, two seconds for the model, no answer
kept), and a vLLM with the real model: the one at ``LETHE_TEST_VLLM_URL``, else one started here.
Each person asks, and asks again: by a query, by titles (``LETHE_LLM__MODE=likelihood``), and for
labels, which this model is asked for nowhere, as it does not read. Beside them the same lists
without a model. Alone on the machine, or the times are others'.

It writes ``benchmarks/results/llm_times.json``: seconds by form, the tokens that a list had read,
of these found in the prefix cache, and lists that went out without the model.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import numpy as np

from app.cli.llm import read_queries
from app.cli.loading import load_dataset
from app.domain.models import Pseudonym
from app.domain.recommendation.users import told
from app.ports.dataset import DatasetKind
from app.services.recommendation.query import RecommendQuery
from app.services.recommendation.reranking import RankedBy
from app.settings_llm import LlmSettings
from benchmarks.harness import write_result
from benchmarks.words.queries import QUERIES
from tests.servers.vllm import REAL, VllmServer, vllm_server
from tests.world import World, open_world

FORMS: Final[Mapping[str, Mapping[str, object]]] = {
    "none": {},
    "query": {"query_weight": 0.3},
    "titles": {"weight": 0.3, "mode": "likelihood", "must_read": False},
    "label": {"weight": 0.3, "must_read": False},
}
STEPS: Final = ("first", "again")
GOAL_S: Final = 2.0


class Clerk:
    """Asks one service, and keeps what each list took."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.seconds: dict[str, list[float]] = {step: [] for step in STEPS}
        self.without_model = dict.fromkeys(STEPS, 0)
        self.tokens: dict[str, dict[str, float]] = {
            step: {"prompt": 0, "cached": 0} for step in STEPS
        }

    def ask(self, query: RecommendQuery, step: str) -> None:
        """Ask for one list."""
        before = self._told()
        started = time.perf_counter()
        answer = self._world.container.recommend.recommend(query)
        self.seconds[step].append(time.perf_counter() - started)
        self.without_model[step] += answer.provenance.ranked_by is not RankedBy.LLM
        for name, value in self._told().items():
            if name in self.tokens[step]:
                self.tokens[step][name] += value - before[name]

    def _told(self) -> Mapping[str, float]:
        llm = self._world.adapters.llm
        return {} if llm is None else llm.ranker.tokens.read()

    def figures(self) -> dict[str, object]:
        """Return the figures of each step."""
        return {
            step: quantiles(self.seconds[step])
            | {
                f"{name}_tokens": round(value / len(self.seconds[step]))
                for name, value in self.tokens[step].items()
            }
            | {"lists": len(self.seconds[step]), "without_model": self.without_model[step]}
            for step in STEPS
        }


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, p95 and the longest."""
    found = np.percentile(seconds, [50, 95, 100])
    names = ("p50_s", "p95_s", "most_s")
    return {name: round(float(one), 3) for name, one in zip(names, found, strict=True)}


def asked_by(world: World, form: str, *, people: int) -> list[RecommendQuery]:
    """Return a list for each of some readers, who look for something in the form of queries."""
    words = [text for text, _ in read_queries(QUERIES)]
    with world.adapters.uows.read() as uow:
        every = sorted({one for rows in uow.interactions.all_rows() for one in told(rows.users)})
    return [
        RecommendQuery(Pseudonym(one), text=words[place % len(words)] if form == "query" else None)
        for place, one in enumerate(every[:people])
    ]


def measure(server: VllmServer, folder: Path, *, people: int) -> dict[str, object]:
    """Return what each form took; every service has been loaded before the first is asked."""
    forms: dict[str, object] = {}
    with ExitStack() as stack:
        worlds = {}
        for form, changes in FORMS.items():
            given = {"ttl_s": 0} | dict(changes)
            if form != "none":
                given |= {"base_url": server.base_url, "model": server.model}
            world = stack.enter_context(
                open_world(folder / form, llm=LlmSettings.model_validate(given))
            )
            load_dataset(world.container.load.load, kind=DatasetKind.DEMO, path=None)
            world.container.feed.start()
            worlds[form] = world
        for form, world in worlds.items():
            if world.adapters.llm is not None:
                world.adapters.llm.ranker.warm_up()
            clerk = Clerk(world)
            for query in asked_by(world, form, people=people):
                for step in STEPS:
                    clerk.ask(query, step)
            forms[form] = clerk.figures()
            print(form, forms[form], flush=True)
    return forms


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    with TemporaryDirectory() as folder, vllm_server(Path(folder), model=REAL) as server:
        version = httpx.get(f"{server.base_url}/version", trust_env=False).json()["version"]
        forms = measure(server, Path(folder), people=options.people)
    payload = {"seed": options.seed, "model": server.model, "vllm": version, "goal_s": GOAL_S}
    print(write_result("llm_times", payload | {"forms": forms}))


if __name__ == "__main__":
    main()
