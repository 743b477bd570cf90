"""Measure how well a budget of tokens is kept that no call was spent on counting.

    LETHE_MOVIELENS_DIR=… python -m benchmarks.llm.budget [--users 200] [--seed 2026]

For users of ML-100K the memories of their training part are chosen within the budget by what the
service believes they cost: a rate for a byte, learned from what the server said it read. The
server then counts the lines exactly. Users come one after the other, as requests do, and each is
ranked once, so that the rate learns as it does in service. The server is the one at
``LETHE_TEST_VLLM_URL``, else one started from ``.venv-vllm`` with the tiny model.

What it writes to ``benchmarks/results/llm_budget.json``: ``spent_share``: tokens really taken over
the budget, by quantile; ``counting_ms``: what counting the lines with the server would have added
to each answer; ``memories``: how many lines the budget holds.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from app.adapters.datasets.movielens import MovieLensDataset
from app.adapters.llm.client import LlmChannel, LlmServer
from app.adapters.llm.single_pass import SinglePassRanker
from app.adapters.llm.tokenizer import count_tokens
from app.bootstrap.llm import prompting_of
from app.domain.models import EventKey, HistoryEntry, Item, ItemId, Kind, RecordId
from app.domain.recommendation.memory import strengths
from app.domain.recommendation.memory_selection import Choice, Strategy, select_memories
from app.domain.recommendation.prompt import ShownMemory, memory_line
from app.ports.dataset import ItemRecord
from app.ports.ranker import RankingTask
from app.settings_llm import LlmSettings
from benchmarks.data import SEED, Dataset, load, split
from benchmarks.harness import write_result
from tests.servers.vllm import vllm_server

N_CANDIDATES: Final = 50
NEWEST: Final = 64
TIMEOUT_S: Final = 60.0


def catalogue() -> list[Item]:
    """Return the films in the order of the data set's item numbers."""
    folder = Path(os.environ["LETHE_MOVIELENS_DIR"])
    records = MovieLensDataset(folder, now=datetime.now(UTC)).items()
    return [record.item for record in records if isinstance(record, ItemRecord)]


def memories_of(data: Dataset, user: int, *, films: list[Item], seed: int) -> list[ShownMemory]:
    """Return the newest memories of a user's training part, newest first."""
    if data.ratings is None or data.times is None:
        message = "ML-100K has ratings and times"
        raise ValueError(message)
    kept = split(data.histories[: user + 1], seed=seed).train[user]
    places = np.flatnonzero(np.isin(data.histories[user], kept))
    newest = places[np.argsort(-data.times[user][places], kind="stable")][:NEWEST]
    at = datetime.now(UTC)
    entries = [
        HistoryEntry(
            RecordId(""),
            EventKey(""),
            Kind.RATING,
            at,
            films[data.histories[user][place]].item_id,
            float(data.ratings[user][place]),
            None,
            is_pending=False,
        )
        for place in newest
    ]
    return [
        ShownMemory(
            Kind.RATING, films[data.histories[user][place]], entry.value, strength, entry.text
        )
        for place, entry, strength in zip(newest, entries, strengths(entries), strict=True)
    ]


def within(budget: int, memories: list[ShownMemory], costs: list[int]) -> list[ShownMemory]:
    """Return the newest ones that the budget holds, as the strategy ``recent`` takes them."""
    count = len(memories)
    choice = Choice(
        vectors=np.ones((count, 1), dtype=np.float32),
        strength=np.ones(count, dtype=np.float32),
        clusters=np.zeros(count, dtype=np.int64),
        costs=costs,
        budget=budget,
    )
    nobody = np.empty((0, 0), dtype=np.float32)
    chosen = select_memories(Strategy.RECENT, choice, candidates=nobody)
    return [memories[index] for index in chosen]


def measure(server: LlmServer, *, n_users: int, seed: int) -> dict[str, object]:
    """Return the figures."""
    prompting = prompting_of(LlmSettings())
    ranker = SinglePassRanker(server, prompting=prompting)
    ranker.warm_up()
    films, data = catalogue(), load("ml-100k")
    rng = random.Random(seed)  # noqa: S311 - which users, no secret
    spent, counting_ms, shown = [], [], []
    for user in rng.sample(range(len(data.histories)), n_users):
        memories = memories_of(data, user, films=films, seed=seed)
        kept = within(prompting.memory_tokens, memories, prompting.costs(memories))
        lines = [
            memory_line(one, template=prompting.template, limits=prompting.limits) for one in kept
        ]
        text = "".join(f"\n- {line}" for line in lines)
        started = time.perf_counter()
        [n_tokens] = count_tokens(server, [text], deadline=time.monotonic() + TIMEOUT_S)
        counting_ms.append(1000 * (time.perf_counter() - started))
        if len(kept) < len(memories):
            spent.append(n_tokens / prompting.memory_tokens)
        shown.append(len(kept))
        candidates = [
            Item(ItemId(f"c-{one.item_id}"), one.title, one.description, one.attributes)
            for one in rng.sample(films, N_CANDIDATES)
        ]
        ranker.rank(RankingTask(kept, candidates, rng.randbytes(32).hex(), user, TIMEOUT_S))
    return {
        "budget": prompting.memory_tokens,
        "spent_share": quantiles(spent) | {"users_at_the_limit": len(spent)},
        "counting_ms": quantiles(counting_ms),
        "memories": quantiles([float(count) for count in shown]),
    }


def quantiles(values: list[float]) -> dict[str, float]:
    """Return least, 5 %, median, 95 % and most."""
    found = np.percentile(values, [0, 5, 50, 95, 100])
    names = ("least", "p5", "median", "p95", "most")
    return {name: round(float(value), 4) for name, value in zip(names, found, strict=True)}


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    with (
        TemporaryDirectory() as folder,
        vllm_server(Path(folder)) as running,
        closing(LlmChannel()) as channel,
    ):
        server = LlmServer(running.base_url, model=running.model, channel=channel)
        figures = measure(server, n_users=arguments.users, seed=arguments.seed)
    path = write_result(
        "llm_budget",
        figures
        | {
            "seed": arguments.seed,
            "users": arguments.users,
            "model": running.model,
            "note": "the tiny model's vocabulary is of made-up words, so a line takes about three "
            "times the tokens of a real one; the share of the budget does not depend on that",
        },
    )
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
