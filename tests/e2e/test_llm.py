"""The whole service with a real vLLM behind it: real protocol, random weights."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from app.adapters.llm.prompts import load_template
from tests.e2e.calls import Api, Json, calling, user
from tests.e2e.processes import QUICK, serving, wait_for
from tests.servers.vllm import VllmServer

_GENERATED = re.compile(r"^vllm:generation_tokens_total\{[^}]*\} ([\d.e+]+)$", re.MULTILINE)


def _generated(server: VllmServer) -> float:
    """Return how many tokens the server has generated in its life."""
    found = _GENERATED.search(httpx.get(f"{server.base_url}/metrics", timeout=10).text)
    assert found is not None
    return float(found[1])


@pytest.mark.timeout(600)
def test_the_llm_ranks_with_one_token_a_request(tmp_path: Path, llm_server: VllmServer) -> None:
    environment = QUICK | {
        "LETHE_DATA_DIR": str(tmp_path / "data"),
        "LETHE_LLM__BASE_URL": llm_server.base_url,
        "LETHE_LLM__MODEL": llm_server.model,
        "LETHE_LLM__TIMEOUT_S": "30",
        "LETHE_LLM__CANDIDATES": "12",
        "LETHE_LLM__WEIGHT": "0.3",
        "LETHE_LLM__MUST_READ": "false",
    }
    with serving(environment, folder=tmp_path) as server, calling(server.url) as api:
        api.load(range(8))
        wait_for("the LLM is warm", lambda: _is_ready(api), timeout_s=300)
        before = _generated(llm_server)

        answers = [api.recommend(user(n), n=8) for n in range(8)]

        assert {answer["ranked_by"] for answer in answers} == {"llm"}
        assert {(answer["regime"], answer["form"]) for answer in answers} == {("history", "label")}
        assert {answer["prompt_id"] for answer in answers} == {load_template("en").template_id}
        assert api.ask("GET", "/readyz")["dependencies"]["llm"]["breakers"]["closed"] == 1
        told = api.send("GET", "/metrics").text
        assert f'lethe_llm_rankings_total{{kind="ranked"}} {len(answers)}.0' in told
        assert f'lethe_llm_tokens_total{{kind="completion"}} {len(answers)}.0' in told
        assert not any(answer["degraded"] for answer in answers)
        assert _generated(llm_server) - before == len(answers)
        for answer in answers:
            items = [one["item_id"] for one in answer["items"]]
            assert len(items) == len(set(items)) == 8


@pytest.mark.timeout(900)
def test_a_real_model_that_cannot_choose_a_label_is_asked_for_no_list(
    tmp_path: Path, real_llm_server: VllmServer
) -> None:
    environment = QUICK | {
        "LETHE_DATA_DIR": str(tmp_path / "data"),
        "LETHE_LLM__BASE_URL": real_llm_server.base_url,
        "LETHE_LLM__MODEL": real_llm_server.model,
        "LETHE_LLM__TIMEOUT_S": "30",
        "LETHE_LLM__CANDIDATES": "12",
        "LETHE_LLM__WINDOW": "16",
        "LETHE_LLM__MEMORY_TOKENS": "100",
        "LETHE_LLM__WEIGHT": "0.3",
    }
    with serving(environment, folder=tmp_path) as server, calling(server.url) as api:
        api.load(range(4))
        api.ask(
            "POST", "/items", json=[{"item_id": f"m{n}", "title": f"More {n}"} for n in range(80)]
        )
        wait_for("the LLM has been looked at", lambda: _reading(api) != "unknown", timeout_s=600)

        answer = api.recommend(user(1), n=8)

        llm = api.ask("GET", "/readyz")["dependencies"]["llm"]
        assert (llm["status"], llm["reading"]) == ("ready", "letter_decides")
        assert llm["ranks_queries"] is True
        assert (answer["ranked_by"], answer["form"]) == ("retrieval", None)
        assert answer["degraded"] is False
        told = api.send("GET", "/metrics").text
        assert 'lethe_llm_reading{verdict="letter_decides"} 1.0' in told


def _reading(api: Api) -> str:
    return str(api.ask("GET", "/readyz")["dependencies"]["llm"]["reading"])


def _is_ready(api: Api) -> bool:
    told: Json = api.ask("GET", "/readyz")
    return bool(told["dependencies"]["llm"]["status"] == "ready")


def test_an_llm_that_is_not_there_costs_the_answer_nothing_but_its_rank(tmp_path: Path) -> None:
    environment = QUICK | {
        "LETHE_DATA_DIR": str(tmp_path / "data"),
        "LETHE_LLM__BASE_URL": "http://127.0.0.1:9",
        "LETHE_LLM__MODEL": "nobody",
        "LETHE_LLM__WEIGHT": "0.3",
        "LETHE_LLM__MUST_READ": "false",
    }
    with serving(environment, folder=tmp_path) as server, calling(server.url) as api:
        api.load(range(4))

        answer = api.recommend(user(1))

        assert answer["personalised"]
        assert answer["degraded"]
        assert answer["ranked_by"] == "retrieval"
        llm = api.ask("GET", "/readyz")["dependencies"]["llm"]
        assert llm["required"] is False
        assert llm["breakers"]["closed"] == 0
