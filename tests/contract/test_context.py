"""A server that refuses what is longer than its context, as a vLLM does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from app.adapters.llm.client import LlmRefusedError
from app.adapters.llm.json_scores import JsonRanker
from app.adapters.llm.likelihood import LikelihoodRanker
from app.adapters.llm.ranker import Form
from app.adapters.llm.single_pass import SinglePassRanker
from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.prompt import ShownMemory
from app.ports.ranker import RankingTask
from tests.contract.ranker_connected import new_prompting
from tests.servers.vllm_replay import replaying_server

FORMS: dict[str, Callable[..., Form]] = {
    "one_pass": SinglePassRanker,
    "json": JsonRanker,
    "query": LikelihoodRanker,
    "titles": LikelihoodRanker,
}
CONTEXT_TOKENS = 512
TITLES = {"dense": "\u0e41\u0e2e\u0e23\u0e4c ", "of numbers": "1984 ", "plain": "word "}


class SmallContext:
    """Takes every byte beyond ASCII for a token, and each digit, and five other bytes.

    Args:
        context_tokens: what it reads at once.
        count: the tokens of a text, if others.
    """

    def __init__(
        self, context_tokens: int = CONTEXT_TOKENS, count: Callable[[str], int] | None = None
    ) -> None:
        self._context_tokens = context_tokens
        self._count = count or n_tokens
        self.refused = 0
        self.longest = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models":
            told = {"id": "tiny", "owned_by": "vllm", "max_model_len": self._context_tokens}
            return httpx.Response(200, json={"data": [told]})
        body = json.loads(request.content)
        if request.url.path == "/tokenize":
            return httpx.Response(200, json={"tokens": [0] * self._count(body["prompt"])})
        prompts = body.get("prompt") or ["".join(one["content"] for one in body["messages"])]
        sizes = [self._count(one) + body["max_tokens"] for one in prompts]
        if max(sizes) > self._context_tokens:
            self.refused += 1
            return httpx.Response(400, json={"error": "too long"})
        self.longest = max(self.longest, *sizes)
        usage = {"prompt_tokens": sum(map(self._count, prompts)), "completion_tokens": 1}
        found = choices(body, list(map(self._count, prompts)))
        return httpx.Response(200, json={"choices": found, "usage": usage})


def n_tokens(text: str) -> int:
    n_dense = sum(len(one.encode()) for one in text if not one.isascii())
    n_digits = sum(one.isdigit() and one.isascii() for one in text)
    return n_dense + n_digits + -(-(len(text) - n_digits) // 5)


def choices(body: dict[str, object], sizes: list[int]) -> list[dict[str, object]]:
    if "prompt" in body:
        return [
            {"index": n, "prompt_logprobs": [None, *([{"1": {"logprob": -1.0}}] * one)]}
            for n, one in enumerate(sizes)
        ]
    told = body.get("structured_outputs")
    if isinstance(told, dict):
        top = [{"token": one, "logprob": -1.0} for one in told["choice"]]
        return [{"logprobs": {"content": [{"top_logprobs": top}]}}]
    schema = json.loads(json.dumps(body["response_format"]))["json_schema"]["schema"]
    scores = json.dumps(dict.fromkeys(schema["required"], 1))
    return [{"message": {"content": scores}, "finish_reason": "stop"}]


def task_of(form: str, title: str, *, n_candidates: int = 20) -> RankingTask:
    items = [Item(ItemId(f"i{n}"), f"{n} " + title * 30, title * 30) for n in range(40)]
    memories = [ShownMemory(Kind.LIKE, one, strength=1.0, text=title * 90) for one in items[20:]]
    query = title * 90 if form == "query" else None
    return RankingTask(memories, items[:n_candidates], "5" * 64, 0, 60.0, query)


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("form", FORMS)
def test_what_was_too_long_is_asked_again_at_once_and_the_next_list_fits(
    form: str, title: str
) -> None:
    server = SmallContext()
    ranker = FORMS[form](replaying_server(server), prompting=new_prompting())
    ranker.warm_up()
    task = task_of(form, TITLES[title])

    first = ranker.rank(task)
    refused = server.refused
    second = ranker.rank(replace(task, candidates=[*reversed(task.candidates)]))

    assert len(first.log_probabilities) == len(second.log_probabilities) == 20
    assert server.refused == refused
    if title == "dense":
        assert server.longest > CONTEXT_TOKENS / 3, "there is room for more than that"


@pytest.mark.parametrize("form", ["one_pass", "json", "titles"])  # whose words are counted
def test_a_refusal_teaches_where_plain_words_are_more_tokens_than_was_thought(form: str) -> None:
    server = SmallContext(300 if form == "titles" else 2_500, len)
    ranker = FORMS[form](replaying_server(server), prompting=new_prompting())
    ranker.warm_up()
    refused = server.refused

    found = ranker.rank(task_of(form, TITLES["plain"]))

    assert server.refused > refused
    assert len(found.log_probabilities) == 20


@pytest.mark.parametrize("form", FORMS)
def test_our_own_words_of_a_list_of_two_fit_whatever_the_titles(form: str) -> None:
    server = SmallContext()
    ranker = FORMS[form](replaying_server(server), prompting=new_prompting())
    ranker.warm_up()

    assert len(ranker.rank(task_of(form, "\U00013000", n_candidates=2)).log_probabilities) == 2


@pytest.mark.parametrize("form", FORMS)
def test_a_short_prompt_that_is_refused_is_no_long_one(form: str) -> None:
    server = SmallContext(4096)
    prompting = new_prompting()
    refusing = False
    sent = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.path)
        if refusing and request.url.path != "/tokenize":
            return httpx.Response(400, json={"error": "no such field"})
        return server(request)

    ranker = FORMS[form](replaying_server(respond), prompting=prompting)
    ranker.warm_up()
    refusing, thought = True, prompting.rate.tokens("\u0e41 word")
    sent.clear()
    items = [Item(ItemId(one), one) for one in "ab"]
    query = "c" if form == "query" else None

    with pytest.raises(LlmRefusedError):
        ranker.rank(RankingTask((), items, "5" * 64, 0, 60.0, query))

    assert len([one for one in sent if one != "/tokenize"]) == 1
    assert prompting.rate.tokens("\u0e41 word") == thought
