"""Count by vLLM's own metrics what its prefix cache gives back to whom, and after a forget.

    python -m benchmarks.llm.isolation [--users 30] [--seed 2026]

Users with one and the same history ask through the whole service, answer cache off, so that every
answer is a prompt; all prompts begin with the same words. Each user asks as someone new, asks
again, has one of their memories forgotten, asks, and asks again. As the control that hits would be
seen, the ranker is asked without the service under one salt for all: there a stranger's prompt
does find the shared beginning. Then every user asks twice in the same words, which ranks by
likelihood, once more after a forget, and is ranked twice by titles: a request for the likelihoods
of a prompt takes nothing from the cache, whoever put it there. What it leaves there is looked for
as nobody does in service: by the same prompt without likelihoods, under the user's own salt, under
another user's, and under the user's after a forget.

What it writes to ``benchmarks/results/llm_isolation.json``: tokens found in the prefix cache by
step, summed over users: ``new`` and ``after_forget`` must be 0; ``again`` and
``again_after_forget`` must not, or the cache is off; ``one_salt_for_all`` is the control. All of
``likelihood`` must be 0: of a query, of the same again and after a forget, and of titles after
titles. Of ``left_by_likelihood`` all but ``own`` must be.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from app.adapters.llm.client import COMPLETIONS
from app.adapters.llm.likelihood import likelihood_body
from app.domain.erasure.scope import ItemsScope
from app.domain.models import ItemId, Kind
from app.domain.recommendation.prompt import ShownMemory
from app.ports.ranker import Ranker, RankingForm, RankingTask
from app.services.erasure.requests import ForgetCommand
from app.services.recommendation.query import RecommendQuery
from app.services.recommendation.reranking import RankedBy
from app.settings_llm import LlmSettings
from benchmarks.harness import write_result
from tests.servers.vllm import REAL, VllmServer, vllm_server
from tests.world import World, catalogue, open_world

HISTORY: Final = [f"sea-{number:02d}" for number in range(8)]
SALT: Final = "f" * 64
TIMEOUT_S: Final = 30.0


class Counter:
    """Tokens that the server found in its prefix cache between two looks."""

    def __init__(self, server: VllmServer) -> None:
        self._client = httpx.Client(base_url=server.base_url, timeout=10, trust_env=False)
        self._before = self._read()

    def _read(self) -> float:
        lines = self._client.get("/metrics").text.splitlines()
        name = "vllm:prefix_cache_hits_total{"
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def since(self) -> float:
        """Return the tokens found since the last look."""
        before, self._before = self._before, self._read()
        return self._before - before


def ask(world: World, name: str, *, text: str | None = None) -> None:
    """Ask for a list that the LLM ranks; with a text, by likelihood."""
    query = RecommendQuery(pseudonym=world.user(name), n=8, text=text)
    answer = world.container.recommend.recommend(query)
    if answer.provenance.ranked_by is not RankedBy.LLM:
        message = "the LLM did not rank; nothing is measured"
        raise RuntimeError(message)


def forget_one(world: World, name: str, *, place: int = 0) -> None:
    """Have a memory forgotten, by default the oldest."""
    scope = ItemsScope((ItemId(HISTORY[place]),))
    world.container.forget.accept(ForgetCommand(world.user(name), scope))


def control(ranker: Ranker, counter: Counter, *, n_users: int) -> float:
    """Return the hits of users whose prompts differ behind a common beginning, one salt for all."""
    items = catalogue()
    memories = [ShownMemory(Kind.LIKE, item) for item in items[:8]]
    counter.since()
    for user in range(n_users):
        own = ShownMemory(Kind.NOTE, text=f"I am number {user}")
        ranker.rank(RankingTask([*memories, own], items[8:24], SALT, user, TIMEOUT_S))
    return counter.since()


def by_titles(ranker: Ranker, *, salt: str) -> None:
    """Have titles ranked after titles, the same for everybody."""
    items = catalogue()
    memories = [ShownMemory(Kind.LIKE, item) for item in items[:6]]
    task = RankingTask(memories, items[8:24], salt, 0, TIMEOUT_S, form=RankingForm.LIKELIHOOD)
    ranker.rank(task)


def likelihoods(
    world: World, ranker: Ranker, counter: Counter, *, n_users: int
) -> dict[str, float]:
    """Return hits of what is ranked by likelihood, summed over users."""
    steps = ("query", "query_again", "query_after_forget", "titles", "titles_again")
    found = dict.fromkeys(steps, 0.0)
    for number in range(n_users):
        name = f"twin-{number}"
        counter.since()
        for step in found:
            if step == "query_after_forget":
                forget_one(world, name, place=1)
            if step.startswith("query"):
                ask(world, name, text="a story of the stormy sea")
            else:
                by_titles(ranker, salt=f"{number:064x}")
            found[step] += counter.since()
    return found


def left(world: World, server: VllmServer, counter: Counter, *, n_users: int) -> dict[str, float]:
    """Return what each salt finds of a prompt whose likelihoods were asked for, over users."""
    salt = world.adapters.identity.cache_salt
    found = dict.fromkeys(("other_user", "after_forget", "own"), 0.0)
    for number in range(n_users):
        user, other = world.user(f"twin-{number}"), world.user(f"twin-{number + 1}")
        body = likelihood_body(
            [f"A story of the stormy sea, said by number {number}. " * 40],
            model=server.model,
            cache_salt=salt(user, 0),
        )
        _post(server, body)
        plain = {name: value for name, value in body.items() if name != "prompt_logprobs"}
        salts = {"other_user": salt(other, 0), "after_forget": salt(user, 1), "own": salt(user, 0)}
        counter.since()
        for step in found:
            _post(server, plain | {"cache_salt": salts[step]})
            found[step] += counter.since()
    return found


def _post(server: VllmServer, body: dict[str, object]) -> None:
    url = f"{server.base_url}{COMPLETIONS}"
    httpx.post(url, json=body, timeout=TIMEOUT_S, trust_env=False).raise_for_status()


def measure(world: World, server: VllmServer, *, n_users: int) -> dict[str, object]:
    """Return hits by step."""
    if world.adapters.llm is None:
        message = "the world has no LLM"
        raise RuntimeError(message)
    world.adapters.llm.ranker.warm_up()
    counter = Counter(server)
    steps = dict.fromkeys(("new", "again", "after_forget", "again_after_forget"), 0.0)
    for number in range(n_users):
        name = f"twin-{number}"
        world.read(name, HISTORY)
        counter.since()
        for step in steps:
            if step == "after_forget":
                forget_one(world, name)
            ask(world, name)
            steps[step] += counter.since()
    told = world.adapters.llm.ranker.tokens.read()
    shared = control(world.adapters.llm.ranker, counter, n_users=n_users)
    ranker = world.adapters.llm.ranker
    return {
        "likelihood": likelihoods(world, ranker, counter, n_users=n_users),
        "left_by_likelihood": left(world, server, counter, n_users=n_users),
        "cached_tokens": steps | {"one_salt_for_all": shared},
        "prompt_tokens": told["prompt"],
        "cached_tokens_by_our_metric": told["cached"],
    }


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=30)
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder, vllm_server(Path(folder), model=REAL) as server:
        version = httpx.get(f"{server.base_url}/version", trust_env=False).json()["version"]
        llm = LlmSettings(
            base_url=server.base_url,
            model=server.model,
            timeout_s=TIMEOUT_S,
            ttl_s=0,
            candidates=16,
            weight=0.3,
            query_weight=0.3,
            must_read=False,
        )
        world_folder = Path(folder) / "world"
        with open_world(world_folder, llm=llm) as world:
            world.populate()
            figures = measure(world, server, n_users=arguments.users)
    path = write_result(
        "llm_isolation",
        figures
        | {
            "seed": arguments.seed,
            "users": arguments.users,
            "model": server.model,
            "vllm": version,
        },
    )
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
