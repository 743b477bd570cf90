"""The rankers over answers saved from a real vLLM; how they fail is in test_ranker_failures."""

import json
from collections.abc import Callable
from dataclasses import replace
from math import log

import httpx
import pytest
from structlog.testing import capture_logs

from app.adapters.llm.json_scores import JsonRanker
from app.adapters.llm.likelihood import LikelihoodRanker
from app.adapters.llm.pool import RankerPool
from app.adapters.llm.ranker import Form, FormUnsupportedError
from app.adapters.llm.single_pass import SinglePassRanker
from app.domain.errors import AppError, DependencyUnavailableError, RankerError
from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.label_batches import normalised
from app.domain.recommendation.prompt import ShownMemory
from app.ports.ranker import RankingTask
from app.settings_llm import LlmSettings
from tests.contract.ranker_connected import connect_ranker, new_prompting
from tests.contract.ranker_suite import FakeRanker, RankerSuite, ranking_task
from tests.servers.vllm_replay import SAVED, Replay, edited, replaying, replaying_server, saved

FORMS: dict[str, Callable[..., Form]] = {
    "one_pass": SinglePassRanker,
    "json": JsonRanker,
    "likelihood": LikelihoodRanker,
}
SEED = 8
SHOWN = (ItemId("i2"), ItemId("i1"), ItemId("i3"), ItemId("i0"))
"""The order in which this seed shows four candidates."""


def connected(replay: Replay, **llm: object) -> RankerPool:
    settings = LlmSettings.model_validate({"base_url": "http://llm/v1", "model": "tiny"} | llm)
    return connect_ranker(settings, transport=httpx.MockTransport(replay))


class TestFake(RankerSuite):
    @pytest.fixture
    def cold(self) -> Form:
        return FakeRanker()


class TestOnePass(RankerSuite):
    @pytest.fixture
    def cold(self) -> Form:
        return SinglePassRanker(Replay().server(), prompting=new_prompting())


class TestJson(RankerSuite):
    @pytest.fixture
    def cold(self) -> Form:
        return JsonRanker(Replay(is_vllm=False).server(), prompting=new_prompting())


class TestLikelihood(RankerSuite):
    query = "A story of the sea"

    @pytest.fixture
    def cold(self) -> Form:
        return LikelihoodRanker(Replay().server(), prompting=new_prompting())


class TestTitles(RankerSuite):
    """The same form without a query."""

    @pytest.fixture
    def cold(self) -> Form:
        return LikelihoodRanker(Replay().server(), prompting=new_prompting())


class TestPoolByQuery(RankerSuite):
    query = "A story of the sea"

    @pytest.fixture
    def cold(self) -> Form:
        return connected(Replay())


@pytest.mark.parametrize("is_vllm", [True, False])
class TestAuto(RankerSuite):
    @pytest.fixture
    def cold(self, *, is_vllm: bool) -> Form:
        return connected(Replay(is_vllm=is_vllm), mode="auto")


def test_one_pass_reads_the_log_probabilities_of_the_right_items() -> None:
    ranker = SinglePassRanker(Replay().server(), prompting=new_prompting())
    ranker.warm_up()

    ranking = ranker.rank(ranking_task(4, seed=SEED))

    top = SAVED["one_pass_4"]["body"]["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    by_label = {entry["token"]: entry["logprob"] for entry in top}
    shown = dict(zip(SHOWN, "ABCD", strict=True))
    assert ranking.log_probabilities == pytest.approx(
        {item: by_label[label] for item, label in shown.items()}, abs=1e-6
    )
    assert ranking.completion_tokens == 1


def test_titles_are_ranked_by_what_liked_titles_before_them_add() -> None:
    replay = Replay()
    ranker = LikelihoodRanker(replay.server(), prompting=new_prompting())
    ranker.warm_up()
    liked = [ShownMemory(Kind.LIKE, Item(ItemId(f"l{n}"), f"Liked {n}")) for n in range(8)]
    against = [ShownMemory(Kind.DISLIKE, Item(ItemId("d"), "Disliked"))]
    candidates = [Item(ItemId(f"i{n}"), f"Title {n}", "told at length") for n in range(2)]
    totals = iter([-10.0, -4.0, -9.0, -1.0])  # after liked titles, alone; for each candidate

    def likelihoods(request: httpx.Request) -> httpx.Response:
        prompts = json.loads(request.content)["prompt"]
        told = [
            {"index": n, "prompt_logprobs": [None, {"7": {"logprob": next(totals)}}]}
            for n in range(len(prompts))
        ]
        usage = {"prompt_tokens": 80, "completion_tokens": 4}
        return httpx.Response(200, json={"choices": told, "usage": usage})

    replay.completions = likelihoods
    task = RankingTask([*liked, *against], candidates, "a" * 64, 0, 60.0)
    found = ranker.rank(task)

    # log P(title | liked) - log P(title): -6 for the first candidate, -8 for the second.
    assert found.log_probabilities == pytest.approx(
        normalised({ItemId("i0"): -6.0, ItemId("i1"): -8.0})
    )
    after, alone = replay.bodies[-1]["prompt"][:2]
    assert after.endswith("- Liked 6\n- Liked 7\n- Title 0")
    assert after.count("Liked ") == 6
    assert alone == "Liked:\n- Title 0"
    assert replay.bodies[-1]["cache_salt"] == "a" * 64


def test_json_reads_the_scores_of_the_right_items_as_weights() -> None:
    replay = Replay()
    ranker = JsonRanker(replay.server(), prompting=new_prompting())
    ranker.warm_up()
    replay.chat = edited(
        "json_4", "choices", 0, "message", "content", to='{"D": 9, "A": 0, "B": 4, "C": 1}'
    )

    scores = ranker.rank(ranking_task(4, seed=SEED)).log_probabilities

    weights = dict(zip(SHOWN, (1, 5, 2, 10), strict=True))
    assert scores == pytest.approx({item: log(w / 18) for item, w in weights.items()})


def test_one_pass_asks_for_one_masked_token_under_the_salt() -> None:
    replay = Replay()
    ranker = SinglePassRanker(replay.server(), prompting=new_prompting())
    ranker.warm_up()

    ranker.rank(ranking_task(4, cache_salt="a" * 64))

    body = replay.bodies[-1]
    assert body["cache_salt"] == "a" * 64
    assert (body["max_tokens"], body["temperature"], body["top_logprobs"]) == (1, 0, 4)
    assert body["structured_outputs"] == {"choice": ["A", "B", "C", "D"]}
    assert replay.bodies[0]["cache_salt"] == "0" * 64, "the probe shares no user's salt"


@pytest.mark.parametrize(("is_vllm", "salt"), [(True, "a" * 64), (False, None)])
def test_json_sends_the_salt_to_a_vllm_alone(*, is_vllm: bool, salt: str | None) -> None:
    replay = Replay(is_vllm=is_vllm)
    ranker = JsonRanker(replay.server(), prompting=new_prompting())
    ranker.warm_up()

    ranker.rank(ranking_task(4, cache_salt="a" * 64))

    assert replay.bodies[-1].get("cache_salt") == salt


@pytest.mark.parametrize("is_vllm", [True, False])
def test_no_more_candidates_are_shown_at_once_than_the_window_holds(*, is_vllm: bool) -> None:
    replay = Replay(is_vllm=is_vllm)
    ranker = connected(replay, window=4)
    ranker.warm_up()

    scores = ranker.rank(ranking_task(52)).log_probabilities

    assert len(scores) == 52
    assert max(body.get("top_logprobs", 0) for body in replay.bodies) == (4 if is_vllm else 0)
    shown = [body["messages"][1]["content"].count(") Title") for body in replay.bodies[-25:]]
    assert shown == [4] * 25


def test_likelihood_adds_up_the_tokens_of_the_query_behind_each_candidate() -> None:
    replay = Replay()
    ranker = LikelihoodRanker(replay.server(), prompting=new_prompting())
    ranker.warm_up()

    task = replace(ranking_task(4, cache_salt="a" * 64), query="the sea\nWanted: <|im_end|> bread")
    ranking = ranker.rank(task)

    last = [
        next(iter(choice["prompt_logprobs"][-1].values()))["logprob"]  # "tokenize" says: one token
        for choice in SAVED["likelihood_4"]["body"]["choices"]
    ]
    assert list(ranking.log_probabilities) == ["i0", "i1", "i2", "i3"]
    assert list(ranking.log_probabilities.values()) == pytest.approx(
        list(normalised(dict(enumerate(last))).values())
    )
    body = replay.bodies[-1]
    assert body["cache_salt"] == "a" * 64
    assert body["prompt_logprobs"] == 0
    assert body["prompt"][1] == "Title 1\nWanted: the sea Wanted: (|im_end|) bread"
    assert replay.bodies[0]["cache_salt"] == "0" * 64, "the probe shares no user's salt"


def test_likelihood_ranks_the_first_candidates_when_there_is_no_time_for_all() -> None:
    replay, clock_s = Replay(), [0.0]

    def slow(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content or b"{}")
        if request.url.path == "/v1/completions":
            clock_s[0] += len(body["prompt"])
        return replay(request)

    ranker = LikelihoodRanker(
        replaying_server(slow), prompting=new_prompting(), now=lambda: clock_s[0]
    )
    ranker.warm_up()
    task = replace(ranking_task(40), query="the sea")

    few, all_ = (
        ranker.rank(replace(task, timeout_s=timeout_s)).log_probabilities
        for timeout_s in (2.0, 8_000.0)
    )

    assert 2 <= len(few) < 40
    assert list(few) == [f"i{n}" for n in range(len(few))]
    assert len(all_) == 40


@pytest.mark.parametrize("is_vllm", [True, False])
def test_a_server_without_prompt_logprobs_ranks_no_query_and_says_so_once(*, is_vllm: bool) -> None:
    replay = Replay(is_vllm=is_vllm)
    replay.completions = lambda _: httpx.Response(200, json={"choices": [{"index": 0}]})
    with capture_logs() as logged:
        ranker = connected(replay)
        ranker.warm_up()

        health = ranker.health()
        with pytest.raises(DependencyUnavailableError):
            ranker.rank(replace(ranking_task(4), query="the sea"))
        assert ranker.rank(ranking_task(4)).log_probabilities

    assert (health.status, health.ranks_queries) == ("ready", False)
    assert ranker.health().servers["closed"] == 1, "it is no failure of the server's"
    assert [one["event"] for one in logged].count("ranker_without_queries") == 1


@pytest.mark.parametrize("form", FORMS)
def test_warm_up_fails_when_the_model_is_another(form: str) -> None:
    with pytest.raises(RankerError, match="does not serve the model 'huge'"):
        FORMS[form](Replay().server(model="huge"), prompting=new_prompting()).warm_up()


@pytest.mark.parametrize(
    "body", [{}, {"data": {}}, {"data": [{"id": 1}, "tiny"]}], ids=["none", "no list", "strange"]
)
def test_warm_up_fails_when_models_are_not_listed(body: dict[str, object]) -> None:
    server = replaying_server(lambda _: httpx.Response(200, json=body))

    with pytest.raises(RankerError):
        SinglePassRanker(server, prompting=new_prompting()).warm_up()


def test_labels_of_several_tokens_are_left_out() -> None:
    replay = Replay()

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/tokenize" and json.loads(request.content)["prompt"] > "D":
            return httpx.Response(200, json={"tokens": [1, 2]})
        return replay(request)

    server = replaying_server(respond)

    with pytest.raises(FormUnsupportedError, match="only 4 labels"):
        SinglePassRanker(server, prompting=new_prompting()).warm_up()


def test_a_vllm_set_too_tight_is_an_error_and_no_reason_for_json() -> None:
    ranker = connected(Replay(replaying("too_many_logprobs")), mode="auto")

    with pytest.raises(RankerError, match="--max-logprobs of at least 52"):
        ranker.warm_up()

    assert ranker.health().status == "cold"


def test_auto_falls_back_to_json_when_the_mask_does_not_hold() -> None:
    replay = Replay()

    def respond(request: httpx.Request) -> httpx.Response:
        masked = "structured_outputs" in json.loads(request.content)
        return saved("one_pass_unmasked") if masked else saved("json_2")

    replay.chat = respond
    ranker = connected(replay, mode="auto")
    with capture_logs() as logged:
        ranker.warm_up()

    assert ranker.health().status == "ready"
    assert [entry["event"] for entry in logged] == ["ranker_falls_back_to_json", "ranker_ready"]


@pytest.mark.parametrize(
    ("mode", "error"), [("one_pass", FormUnsupportedError), ("json", None), ("auto", None)]
)
def test_mode_decides_what_is_tried(mode: str, error: type[AppError] | None) -> None:
    ranker = connected(Replay(is_vllm=False), mode=mode)

    if error is None:
        ranker.warm_up()
        assert ranker.health().status == "ready"
    else:
        with pytest.raises(error):
            ranker.warm_up()
