"""Reasons from an LLM server: a real vLLM with random weights, and every way to fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from app.bootstrap.llm import Llm, connect_llm, prompting_of
from app.domain.errors import DependencyUnavailableError, RankerError
from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.prompt import ShownMemory
from app.ports.explainer import ExplainTask
from app.settings_llm import LlmSettings
from tests.contract.ranker_suite import HOSTILE
from tests.servers.vllm import VllmServer
from tests.servers.vllm_replay import Replay, Respond, saved

SETTINGS = LlmSettings(base_url="http://llm", model="tiny")
RIGHT = {
    "A": {"lines": [1], "sentence": "Both are at sea."},
    "B": {"lines": [], "sentence": "It rests on nothing."},
}


def explain_task(n_items: int = 2, *, timeout_s: float = 60.0, title: str = "Title") -> ExplainTask:
    memories = [ShownMemory(Kind.NOTE, text="I like the sea"), ShownMemory(Kind.NOTE, text=HOSTILE)]
    items = [Item(ItemId(f"i{n}"), f"{title} {n}", "A story of the sea") for n in range(n_items)]
    return ExplainTask(memories, items, "a" * 64, timeout_s)


def answering(content: object, *, finish: str = "stop") -> Respond:
    text = content if isinstance(content, str) else json.dumps(content)
    message = {"content": text}
    body = {"choices": [{"finish_reason": finish, "message": message}]}
    return lambda _: httpx.Response(200, json=body)


def connected(replay: Replay) -> Llm:
    llm = cold(replay)
    llm.ranker.warm_up()
    return llm


def cold(replay: Replay) -> Llm:
    transport = httpx.MockTransport(replay)
    return connect_llm(SETTINGS, prompting=prompting_of(SETTINGS), transport=transport)


def test_reasons_come_with_what_they_cite_and_others_are_dropped() -> None:
    replay = Replay()
    llm = connected(replay)
    replay.chat = answering(RIGHT)

    found = llm.explainer.explain(explain_task())

    assert {item: (one.text, list(one.cites)) for item, one in found.items()} == {
        "i0": ("Both are at sea.", [0])
    }
    assert replay.bodies[-1]["cache_salt"] == "a" * 64


def test_control_characters_in_a_sentence_are_no_reason_to_drop_them_all() -> None:
    replay = Replay()
    llm = connected(replay)
    replay.chat = answering('{"A": {"lines": [1], "sentence": "At\x0e sea"}, "B": null}')

    assert llm.explainer.explain(explain_task())[ItemId("i0")].text == "At sea"


def test_a_server_that_is_no_vllm_gets_no_salt() -> None:
    replay = Replay(is_vllm=False)
    llm = connected(replay)
    replay.chat = answering(RIGHT)

    llm.explainer.explain(explain_task())

    assert "cache_salt" not in replay.bodies[-1]


@pytest.mark.parametrize(
    ("respond", "error"),
    [
        (answering(RIGHT, finish="length"), RankerError),
        (answering("I think so"), RankerError),
        (lambda _: saved("models"), RankerError),
        (lambda _: httpx.Response(429), DependencyUnavailableError),
        (lambda _: httpx.Response(500), DependencyUnavailableError),
    ],
    ids=["cut", "prose", "no choices", "429", "500"],
)
def test_what_cannot_be_read_is_an_error_and_opens_no_breaker(
    respond: Respond, error: type[Exception]
) -> None:
    replay = Replay()
    llm = connected(replay)
    replay.chat = respond

    for _ in range(5):
        with pytest.raises(error):
            llm.explainer.explain(explain_task())

    assert llm.ranker.health().status == "ready"


def test_nothing_is_asked_of_a_server_that_is_not_ready() -> None:
    replay = Replay()
    llm = cold(replay)

    with pytest.raises(DependencyUnavailableError, match="ready"):
        llm.explainer.explain(explain_task())

    assert replay.bodies == []


@pytest.fixture(scope="module")
def real(llm_server: VllmServer) -> Iterator[Llm]:
    settings = LlmSettings(base_url=llm_server.base_url, model=llm_server.model)
    llm = connect_llm(settings, prompting=prompting_of(settings))
    with closing(llm.ranker):
        llm.ranker.warm_up()
        yield llm


@pytest.mark.parametrize("n_items", [1, 3])
def test_a_real_server_keeps_to_the_schema(real: Llm, n_items: int) -> None:
    found = real.explainer.explain(explain_task(n_items, title=HOSTILE))

    assert found.keys() <= {f"i{n}" for n in range(n_items)}
    for reason in found.values():
        assert reason.text
        assert set(reason.cites) <= {0, 1}


def test_a_real_server_is_left_at_the_deadline(real: Llm) -> None:
    with pytest.raises(DependencyUnavailableError):
        real.explainer.explain(explain_task(timeout_s=0.001))
