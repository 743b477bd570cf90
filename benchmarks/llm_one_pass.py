"""Measure what one forward pass over 50 candidates saves against writing a JSON ranking.

    python -m benchmarks.llm_one_pass [--repeats 40] [--seed 20240607]

Three forms ask the same server about the same memories and candidates: one pass; the JSON of our
fallback, short labels to whole numbers; and the JSON of CRAGRU, item ids to ratings. They take
turns, so that a busy machine slows all alike, and each call has a fresh cache salt, so that no
prompt is found in the prefix cache; once more the one-pass form repeats one prompt under one
salt, which the cache holds. The server is the one at ``LETHE_TEST_VLLM_URL``, else one started
from ``.venv-vllm`` with a tiny model of random weights: its times compare the forms, its rankings
mean nothing.

What it writes to ``benchmarks/results/llm_one_pass.json`` (times in milliseconds):
``one_pass``, ``one_pass_same_prompt``, ``json_labels``, ``json_item_ids``: median, p95, tokens;
``speed_up``: the median of a JSON form over that of one pass; ``our_share``: what prompt, thread
and parsing add to the HTTP exchange of the same call; ``order_sensitivity``: the share of pairs
that two orders shown rank differently (0: the order is ignored, 0.5: chance), with one pass and
with two permutations.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

import httpx
import numpy as np
from scipy.stats import kendalltau

from app.adapters.llm_answers import at, parsed_object, tokens
from app.adapters.llm_json import JsonRanker, json_body
from app.adapters.llm_prompting import Prompting
from app.adapters.llm_server import CHAT, LlmChannel, LlmServer
from app.adapters.prompt_files import load_template
from app.adapters.vllm import VllmRanker
from app.domain.models import Item, ItemId, Kind
from app.domain.prompt import AnswerForm, ShownMemory, ranking_prompt
from app.ports.ranker import LlmRanking, Ranker, RankingTask
from benchmarks.harness import write_result
from tests.servers.vllm import VllmServer, vllm_server

TEMPLATE: Final = load_template("en")
PROMPTING: Final = Prompting(TEMPLATE)
N_CANDIDATES: Final = 50
N_MEMORIES: Final = 20
N_SEEDS: Final = 12
GOAL_SPEED_UP: Final = 20
GOAL_OUR_SHARE_MS: Final = 15
TIMEOUT_S: Final = 120.0
Result = TypeVar("Result")


class TimedTransport(httpx.HTTPTransport):
    """The network, with the milliseconds of the last exchange, answer read to its end."""

    last_ms = 0.0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send and read everything before the client sees any of it."""
        started = time.perf_counter()
        response = super().handle_request(request)
        content = response.read()
        self.last_ms = 1000 * (time.perf_counter() - started)
        return httpx.Response(response.status_code, headers=response.headers, content=content)


def made_up_items(rng: random.Random) -> list[Item]:
    """Return candidates with titles of four words and two attributes.

    The words are syllables, which the tiny model's vocabulary splits about as a real one splits
    English, so that the prompt has about the tokens a real model would read.
    """
    syllables = [onset + vowel for onset in "bcdfgklmnprstv" for vowel in "aeiou"]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 3))) for _ in range(400)]
    return [
        Item(
            ItemId(f"item-{number}"),
            " ".join(rng.choices(words, k=4)).capitalize(),
            attributes={"kinds": rng.choices(words, k=2), "year": rng.randint(1950, 2024)},
        )
        for number in range(N_CANDIDATES)
    ]


class Bench:
    """Asks one server about one set of memories and candidates, under new salts."""

    def __init__(self, server: VllmServer, *, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - made-up titles, no secret
        self.items = made_up_items(self.rng)
        self.memories = [ShownMemory(Kind.LIKE, item) for item in self.items[:N_MEMORIES]]
        self.network = TimedTransport()
        self.channel = LlmChannel(transport=self.network)
        self.llm = LlmServer(server.base_url, model=server.model, channel=self.channel)

    def task(self, *, seed: int = 0, salt: str | None = None) -> RankingTask:
        """Return the task under ``salt``, else under one never used before."""
        fresh = salt or self.rng.randbytes(32).hex()
        return RankingTask(self.memories, self.items, fresh, seed, TIMEOUT_S)

    def rank_by_ids(self) -> LlmRanking:
        """Ask for a rating of each item id from 0.5 to 5, as CRAGRU does; only tokens are kept."""
        ids = [str(1000 + number) for number in range(N_CANDIDATES)]
        prompt = ranking_prompt(
            self.memories,
            candidates=self.items,
            template=TEMPLATE,
            seed=0,
            form=AnswerForm.SCORES,
            labels=ids,
        )
        body = json_body(prompt, model=self.llm.model)
        half_steps = [step / 2 for step in range(1, 11)]
        schema = {
            "type": "object",
            "properties": {item_id: {"enum": half_steps} for item_id in ids},
            "required": ids,
            "additionalProperties": False,
        }
        body |= {
            "max_tokens": 20 * N_CANDIDATES,
            "cache_salt": self.task().cache_salt,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "ratings", "schema": schema},
            },
        }
        answer = self.llm.post(CHAT, body, timeout_s=TIMEOUT_S)
        parsed_object(str(at(answer, "choices", 0, "message", "content")))
        return LlmRanking(
            {},
            tokens(answer, "prompt_tokens"),
            tokens(answer, "completion_tokens"),
            TEMPLATE.template_id,
        )


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Return milliseconds and result."""
    started = time.perf_counter()
    result = call()
    return 1000 * (time.perf_counter() - started), result


def summary(times_ms: Sequence[float], last: LlmRanking) -> dict[str, float]:
    """Return median, p95 and the tokens of one answer."""
    return spread(times_ms) | {
        "prompt_tokens": last.prompt_tokens,
        "completion_tokens": last.completion_tokens,
    }


def spread(times_ms: Sequence[float]) -> dict[str, float]:
    """Return median, p95 and count."""
    median, p95 = np.percentile(times_ms, [50, 95])
    return {
        "median_ms": round(float(median), 3),
        "p95_ms": round(float(p95), 3),
        "repeats": len(times_ms),
    }


def order_sensitivity(bench: Bench, ranker: Ranker) -> float:
    """Return the mean share of pairs that two orders shown rank differently: (1 - tau) / 2."""
    scores = []
    for seed in range(N_SEEDS):
        by_item = ranker.rank(bench.task(seed=seed)).log_probabilities
        scores.append([by_item[item.item_id] for item in bench.items])
    taus = [kendalltau(left, right).statistic for left, right in pairwise(scores)]
    return round(float((1 - np.mean(taus)) / 2), 4)


def measure(bench: Bench, *, repeats: int) -> dict[str, object]:
    """Return every figure."""
    one_pass, both_ways = (
        VllmRanker(bench.llm, prompting=PROMPTING),
        VllmRanker(bench.llm, prompting=PROMPTING, permutations=2),
    )
    by_json = JsonRanker(bench.llm, prompting=PROMPTING)
    for ranker in (one_pass, both_ways, by_json):
        ranker.warm_up()
    held = bench.task()
    forms: dict[str, Callable[[], LlmRanking]] = {
        "one_pass": lambda: one_pass.rank(bench.task()),
        "one_pass_same_prompt": lambda: one_pass.rank(held),
        "json_labels": lambda: by_json.rank(bench.task()),
        "json_item_ids": bench.rank_by_ids,
    }
    last = {name: form() for name, form in forms.items()}
    times: dict[str, list[float]] = {name: [] for name in forms}
    shares = []
    for _ in range(repeats):
        for name, form in forms.items():
            spent, last[name] = timed(form)
            times[name].append(spent)
            if name == "one_pass":
                shares.append(spent - bench.network.last_ms)
    medians = {name: float(np.median(spent)) for name, spent in times.items()}
    slower = ("json_labels", "json_item_ids")
    return {name: summary(times[name], last[name]) for name in forms} | {
        "speed_up": {
            name: {
                "over_one_pass": round(medians[name] / medians["one_pass"], 2),
                "over_one_pass_same_prompt": round(
                    medians[name] / medians["one_pass_same_prompt"], 2
                ),
            }
            for name in slower
        },
        "our_share": spread(shares),
        "order_sensitivity": {
            "one_pass": order_sensitivity(bench, one_pass),
            "two_permutations": order_sensitivity(bench, both_ways),
        },
        "goals": {"speed_up": GOAL_SPEED_UP, "our_share_ms": GOAL_OUR_SHARE_MS},
    }


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--seed", type=int, default=20_240_607)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder, vllm_server(Path(folder)) as server:
        version = httpx.get(f"{server.base_url}/version", trust_env=False).json()["version"]
        bench = Bench(server, seed=arguments.seed)
        with closing(bench.channel):
            figures = measure(bench, repeats=arguments.repeats)
    path = write_result(
        "llm_one_pass",
        figures
        | {
            "seed": arguments.seed,
            "candidates": N_CANDIDATES,
            "memories": N_MEMORIES,
            "model": server.model,
            "prompt_id": TEMPLATE.template_id,
            "vllm": version,
            "note": "a tiny model of random weights: times compare the forms, "
            "rankings and order sensitivity say nothing about quality",
        },
    )
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
