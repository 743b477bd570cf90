"""A real small model and whatever may go wrong, in every form that it can be asked in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from math import exp, fsum

import httpx
import pytest
from structlog.testing import capture_logs

from app.adapters.llm.client import LlmChannel, LlmServer
from app.adapters.llm.json_scores import JsonRanker
from app.adapters.llm.likelihood import LikelihoodRanker
from app.adapters.llm.ranker import Form
from app.adapters.llm.single_pass import SinglePassRanker
from app.bootstrap.llm import connect_llm, prompting_of
from app.domain.errors import DependencyUnavailableError, RankerError
from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.prompt import ShownMemory
from app.ports.ranker import RankingForm, RankingTask
from app.settings_llm import LlmSettings
from benchmarks.demo.make import demo_books
from benchmarks.llm.injection import ATTACKS
from tests.contract.ranker_suite import HOSTILE
from tests.servers.vllm import VllmServer

FORMS: dict[str, Callable[..., Form]] = {
    "label": SinglePassRanker,
    "json": JsonRanker,
    "query": LikelihoodRanker,
    "titles": LikelihoodRanker,
}
QUERY = "a captain hunts a white whale"
SALT = "5" * 64
SMALL = LlmSettings(window=16, memory_tokens=100)
"""So that the largest prompt is soon read on any machine."""
NONSENSE = {
    "nothing but blanks": " \n\t\u2003",
    "nothing that is shown": "\u200b\u202e\x00\x1b",
    "half a pair": "a \ud800 b",
    "one word for ever": "x" * 100_000,
    "many alphabets": "鯨 кит ὕβρις حوت 🐋" * 50,
    "a number": "42",
}


Ask = Callable[[str, RankingTask], dict[str, float]]


@contextmanager
def asking(served: VllmServer) -> Iterator[Ask]:
    """Rank in a form of the name, warmed up once, and return what was found by id."""
    with closing(LlmChannel()) as channel:
        server = LlmServer(served.base_url, model=served.model, channel=channel)
        warm: dict[Callable[..., Form], Form] = {}

        def found(form: str, task: RankingTask) -> dict[str, float]:
            kind = FORMS[form]
            if kind not in warm:
                warm[kind] = kind(server, prompting=prompting_of(SMALL))
                warm[kind].warm_up()
            asked = replace(task, query=task.query or QUERY) if form == "query" else task
            if form == "titles":
                asked = replace(task, form=RankingForm.LIKELIHOOD)
            scores = warm[kind].rank(asked).log_probabilities
            return {str(one): score for one, score in scores.items()}

        yield found


@pytest.fixture(scope="module")
def ask(real_llm_server: VllmServer) -> Iterator[Ask]:
    with asking(real_llm_server) as found:
        yield found


@pytest.fixture
def ask_apart(real_llm_server: VllmServer) -> Iterator[Ask]:
    """The same of forms that no other test asks: an answer given up teaches them to show less."""
    with asking(real_llm_server) as found:
        yield found


def task_of(items: list[Item], *, timeout_s: float = 120.0) -> RankingTask:
    books = demo_books()
    memories = [ShownMemory(Kind.LIKE, one, strength=1.0) for one in books[:3]]
    return RankingTask(memories, [*items, *books[3:7]], SALT, 7, timeout_s)


def is_distribution(found: dict[str, float], task: RankingTask) -> bool:
    ids = {one.item_id for one in task.candidates}
    return found.keys() == ids and fsum(map(exp, found.values())) == pytest.approx(1)


@pytest.mark.parametrize("form", FORMS)
def test_attackers_titles_are_ranked_like_any_other(form: str, ask: Ask) -> None:
    titles = [attack("A book", "Another") for attack in ATTACKS.values()]
    task = task_of([Item(ItemId(f"h{n}"), one) for n, one in enumerate([*titles[2:], HOSTILE])])

    assert is_distribution(ask(form, task), task)


@pytest.mark.parametrize("form", FORMS)
def test_nonsense_is_ranked_like_any_other(form: str, ask: Ask) -> None:
    task = task_of([Item(ItemId(name), text) for name, text in NONSENSE.items()])
    note = ShownMemory(Kind.NOTE, text=NONSENSE["many alphabets"])

    assert is_distribution(ask(form, replace(task, memories=[*task.memories, note])), task)


@pytest.mark.parametrize("query", NONSENSE)
def test_a_nonsense_query_is_ranked_or_refused_by_name(query: str, ask: Ask) -> None:
    task = replace(task_of([]), query=NONSENSE[query])

    try:
        found = ask("query", task)
    except RankerError:
        return
    assert is_distribution(found, task)


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_that_was_given_up_changes_none_after_it(form: str, ask_apart: Ask) -> None:
    task = task_of([])
    before = ask_apart(form, task)

    for _ in range(3):
        with pytest.raises(DependencyUnavailableError):
            ask_apart(form, replace(task, timeout_s=0.02, cache_salt="6" * 64))

    after = ask_apart(form, task)
    assert sorted(after, key=after.__getitem__) == sorted(before, key=before.__getitem__)


@pytest.mark.parametrize("form", FORMS)
def test_of_more_than_the_context_holds_the_newest_is_shown(form: str, ask: Ask) -> None:
    task = task_of([])
    too_long = [ShownMemory(Kind.NOTE, text="鯨🐋" * 200)] * 500  # some tokens a character
    query = too_long[0].text if form == "query" else None

    assert is_distribution(ask(form, replace(task, memories=too_long, query=query)), task)

    assert is_distribution(ask(form, task), task)


class Untold(httpx.HTTPTransport):
    """The network to a server that reads prompts and does not tell how likely they are."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        content = json.loads(response.read())
        for choice in content.get("choices", []):
            choice.pop("prompt_logprobs", None)
        return httpx.Response(response.status_code, json=content)


@pytest.mark.parametrize("mode", ["auto", "likelihood"])
def test_without_prompt_logprobs_the_form_is_off_and_that_is_said_once(
    mode: str, real_llm_server: VllmServer
) -> None:
    settings = LlmSettings.model_validate(
        SMALL.model_dump()
        | {"base_url": real_llm_server.base_url, "model": real_llm_server.model, "mode": mode}
    )
    by_query = replace(task_of([]), query=QUERY)
    with ExitStack() as stack, capture_logs() as logged:
        pool = connect_llm(settings, prompting=prompting_of(settings), transport=Untold()).ranker
        stack.callback(pool.close)
        if mode == "likelihood":
            with pytest.raises(RankerError):
                pool.warm_up()
        else:
            pool.warm_up()
        for _ in range(3):
            with pytest.raises(DependencyUnavailableError):
                pool.rank(by_query)

        assert not pool.health().ranks_queries
        assert pool.health().status == ("cold" if mode == "likelihood" else "ready")
        if mode == "auto":
            assert len(pool.rank(task_of([])).log_probabilities) == 4

    told = [one["event"] for one in logged if "likely" in str(one.get("reason"))]
    assert told == ([] if mode == "likelihood" else ["ranker_without_queries"])
