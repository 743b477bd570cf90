"""Every way in which an answer can be wrong or missing, in every form of ranking."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest
from structlog.testing import capture_logs

from app.adapters.llm.client import MAX_ANSWER_BYTES, LlmRefusedError
from app.adapters.llm.json_scores import JsonRanker
from app.adapters.llm.likelihood import LikelihoodRanker
from app.adapters.llm.ranker import Form
from app.adapters.llm.single_pass import SinglePassRanker
from app.domain.errors import AppError, DependencyUnavailableError, RankerError
from tests.contract.ranker_connected import new_prompting
from tests.contract.ranker_suite import ranking_task
from tests.servers.vllm_replay import Replay, Respond, edited, replaying

MEMORY, ANSWER = "a-memory-nobody-may-see", "an-answer-nobody-may-see"
FORMS: dict[str, Callable[..., Form]] = {
    "one_pass": SinglePassRanker,
    "json": JsonRanker,
    "likelihood": LikelihoodRanker,
}


def raising(error: httpx.HTTPError) -> Respond:
    def respond(_: httpx.Request) -> httpx.Response:
        raise error

    return respond


TOP = ("choices", 0, "logprobs", "content", 0, "top_logprobs")
CONTENT = ("choices", 0, "message", "content")
ANY_FORM: dict[str, tuple[Respond, type[AppError]]] = {
    "429": (lambda _: httpx.Response(429, text=ANSWER), DependencyUnavailableError),
    "500": (lambda _: httpx.Response(500, text=ANSWER), DependencyUnavailableError),
    "503": (lambda _: httpx.Response(503, text=ANSWER), DependencyUnavailableError),
    "301": (lambda _: httpx.Response(301, headers={"Location": "/"}), LlmRefusedError),
    "400": (replaying("too_many_logprobs"), LlmRefusedError),
    "wrong model": (replaying("wrong_model"), LlmRefusedError),
    "slow": (raising(httpx.ReadTimeout("slow")), DependencyUnavailableError),
    "refused": (raising(httpx.ConnectError("refused")), DependencyUnavailableError),
    "broken off": (raising(httpx.RemoteProtocolError("cut")), DependencyUnavailableError),
    "no JSON": (lambda _: httpx.Response(200, text=ANSWER), RankerError),
    "half a JSON": (lambda _: httpx.Response(200, text='{"choices": [{'), RankerError),
    "no UTF-8": (lambda _: httpx.Response(200, content=b'{"a": "\xff"}'), RankerError),
    "a list": (lambda _: httpx.Response(200, json=[ANSWER]), RankerError),
    "deep": (lambda _: httpx.Response(200, text="[" * 100_000), RankerError),
    "empty": (lambda _: httpx.Response(200, json={}), RankerError),
}
ONE_PASS: dict[str, Respond] = {
    "no logprobs": replaying("one_pass_without_logprobs"),
    "no mask": replaying("one_pass_unmasked"),
    "a label short": replaying("one_pass_2"),
    "no choice": edited("one_pass_4", "choices", to=[]),
    "logprobs no list": edited("one_pass_4", *TOP, to=ANSWER),
    "logprob a string": edited("one_pass_4", *TOP, 0, "logprob", to=ANSWER),
    "logprob above zero": edited("one_pass_4", *TOP, 0, "logprob", to=0.5),
    "logprob not a number": edited("one_pass_4", *TOP, 0, "logprob", to=float("nan")),
    "logprob infinite": edited("one_pass_4", *TOP, 0, "logprob", to=float("-inf")),
    "token a number": edited("one_pass_4", *TOP, 0, "token", to=1),
    "no usage": edited("one_pass_4", "usage", to=None),
    "negative usage": edited("one_pass_4", "usage", "prompt_tokens", to=-1),
}
LAST = ("choices", 3, "prompt_logprobs", -1)
LIKELIHOOD: dict[str, Respond] = {
    "no prompt logprobs": edited("likelihood_4", "choices", 1, "prompt_logprobs", to=None),
    "too few choices": edited("likelihood_4", "choices", to=[]),
    "another order": edited("likelihood_4", "choices", 0, "index", to=1),
    "too few tokens": edited("likelihood_4", "choices", 2, "prompt_logprobs", to=[None]),
    "no token": edited("likelihood_4", *LAST, to=None),
    "several tokens": edited("likelihood_4", *LAST, to={"1": {"logprob": -1}, "2": {}}),
    "no number": edited("likelihood_4", *LAST, to={"1": {"logprob": ANSWER}}),
    "above zero": edited("likelihood_4", *LAST, to={"1": {"logprob": 0.5}}),
    "not a number": edited("likelihood_4", *LAST, to={"1": {"logprob": float("nan")}}),
    "no usage": edited("likelihood_4", "usage", to=None),
}
JSON: dict[str, Respond] = {
    "cut": replaying("json_cut"),
    "stopped early": edited("json_4", "choices", 0, "finish_reason", to="length"),
    "prose": edited("json_4", *CONTENT, to=f"I think {ANSWER}"),
    "no content": edited("json_4", *CONTENT, to=None),
    "a label short": edited("json_4", *CONTENT, to='{"A": 1, "B": 2, "C": 3}'),
    "a label more": edited("json_4", *CONTENT, to='{"A": 1, "B": 2, "C": 3, "D": 4, "E": 5}'),
    "another label": edited("json_4", *CONTENT, to='{"A": 1, "B": 2, "C": 3, "Z": 4}'),
    "a label twice": edited("json_4", *CONTENT, to='{"A": 1, "B": 2, "C": 3, "D": 4, "D": 5}'),
    "too good": edited("json_4", *CONTENT, to='{"A": 1, "B": 2, "C": 3, "D": 101}'),
    "below zero": edited("json_4", *CONTENT, to='{"A": 1, "B": 2, "C": 3, "D": -1}'),
    "a fraction": edited("json_4", *CONTENT, to='{"A": 1, "B": 2, "C": 3, "D": 1.5}'),
    "a truth": edited("json_4", *CONTENT, to='{"A": 1, "B": 2, "C": 3, "D": true}'),
    "not a number": edited("json_4", *CONTENT, to='{"A": 1, "B": 2, "C": 3, "D": NaN}'),
    "an endless number": edited("json_4", *CONTENT, to='{"A": ' + "9" * 5000 + "}"),
    "no usage": edited("json_4", "usage", to=None),
}


def causes(error: BaseException) -> Iterator[BaseException]:
    """The chain that a log with tracebacks would print."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def fails(form: str, respond: Respond) -> AppError:
    """Return what a warm ranker raises when the chat route answers like that."""
    replay = Replay(is_vllm=form != "json")
    ranker = FORMS[form](replay.server(), prompting=new_prompting())
    ranker.warm_up()
    replay.chat = replay.completions = respond
    with capture_logs() as logged, pytest.raises(AppError) as caught:
        ranker.rank(replace(ranking_task(memories=(MEMORY,)), query=MEMORY))
    printed = [*map(str, causes(caught.value)), *map(repr, causes(caught.value)), str(logged)]
    assert MEMORY not in "".join(printed)
    assert ANSWER not in "".join(printed)
    return caught.value


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", ANY_FORM)
def test_every_failure_of_the_server_is_an_error_of_ours(form: str, case: str) -> None:
    respond, expected = ANY_FORM[case]

    assert type(fails(form, respond)) is expected


@pytest.mark.parametrize("case", ONE_PASS)
def test_no_ranking_is_read_from_a_wrong_one_pass_answer(case: str) -> None:
    assert type(fails("one_pass", ONE_PASS[case])) is RankerError


@pytest.mark.parametrize("case", LIKELIHOOD)
def test_no_ranking_is_read_from_a_wrong_answer_of_likelihoods(case: str) -> None:
    assert type(fails("likelihood", LIKELIHOOD[case])) is RankerError


@pytest.mark.parametrize("case", JSON)
def test_no_ranking_is_read_from_a_wrong_json_answer(case: str) -> None:
    assert type(fails("json", JSON[case])) is RankerError


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_is_not_read_beyond_its_largest_size(form: str) -> None:
    names = {"one_pass": "one_pass_4", "json": "json_4", "likelihood": "likelihood_4"}
    right = replaying(names[form])

    def padded(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=right(request).content + b" " * MAX_ANSWER_BYTES)

    assert "too large" in fails(form, padded).message
