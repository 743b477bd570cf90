from __future__ import annotations

import json
import logging

import httpx
import pytest
import structlog

from app.observability import (
    PERSONAL_KEYS,
    Metrics,
    PersonalDataInLogError,
    configure_logging,
)
from app.ports.ranker import RankingForm
from app.services.recommendation.reranking import Provenance, RankedBy, Regime

PSEUDONYM = "5e" * 32


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def _production() -> None:
    configure_logging(level="info", is_json=True, is_strict=False)


def test_event_is_one_json_object_with_bound_ids(capsys: pytest.CaptureFixture[str]) -> None:
    _production()
    structlog.contextvars.bind_contextvars(request_id="r1")

    structlog.get_logger("app.forget").info("forget_step_done", step="rows", touched=3)

    (line,) = _lines(capsys)
    assert line.pop("timestamp").__class__ is str
    assert line == {
        "event": "forget_step_done",
        "level": "info",
        "logger": "app.forget",
        "request_id": "r1",
        "step": "rows",
        "touched": 3,
    }


def test_vendor_lines_take_the_same_road(capsys: pytest.CaptureFixture[str]) -> None:
    _production()

    logging.getLogger("alembic.runtime.migration").info("Running upgrade %s", "abc")
    logging.getLogger("uvicorn.error").warning("slow")

    assert [(line["logger"], line["event"]) for line in _lines(capsys)] == [
        ("alembic.runtime.migration", "Running upgrade abc"),
        ("uvicorn.error", "slow"),
    ]


def test_addresses_of_requests_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="debug", is_json=True, is_strict=True)
    transport = httpx.MockTransport(lambda _: httpx.Response(200))

    with httpx.Client(transport=transport) as client:
        client.get("http://lethe/recommend/canary-user")
    access = logging.getLogger("uvicorn.access")
    access.info('%s - "%s %s HTTP/%s" %d', "::1", "GET", "/recommend/canary-user", "1.1", 200)

    assert "canary" not in capsys.readouterr().out


def test_pseudonym_in_a_vendor_message_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    _production()

    logging.getLogger("vendor").warning("no such key: %s!", PSEUDONYM)
    nothing: dict[str, str] = {}
    try:
        nothing[PSEUDONYM]
    except KeyError:
        structlog.get_logger().exception("lookup_failed")

    first, second = _lines(capsys)
    assert first["event"] == "no such key: [withheld]!"
    assert "KeyError: '[withheld]'" in str(second["exception"])


@pytest.mark.parametrize("is_json", [True, False])
def test_traceback_shows_no_local_variable(
    capsys: pytest.CaptureFixture[str], *, is_json: bool
) -> None:
    configure_logging(level="info", is_json=is_json, is_strict=False)

    def work(prompt: str) -> float:
        return len(prompt) / 0

    secret = "canary-prompt"
    # The traceback quotes the next lines, so the value is not on them.
    try:
        work(secret)
    except ZeroDivisionError:
        structlog.get_logger().exception("work_failed")

    out = capsys.readouterr().out
    assert "ZeroDivisionError" in out
    assert "canary" not in out


@pytest.mark.parametrize("key", sorted(PERSONAL_KEYS))
def test_personal_keyword_raises_in_development_and_is_withheld_in_production(
    capsys: pytest.CaptureFixture[str], key: str
) -> None:
    configure_logging(level="info", is_json=True, is_strict=True)
    with pytest.raises(PersonalDataInLogError, match=key) as caught:
        structlog.get_logger().info("seen", **{key: "canary"})
    _production()
    structlog.get_logger().info("seen", **{key: "canary"})

    assert "canary" not in str(caught.value)
    (line,) = _lines(capsys)
    assert line[key] == "[withheld]"


def test_level_below_the_asked_one_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="warning", is_json=True, is_strict=True)

    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")

    assert [line["event"] for line in _lines(capsys)] == ["loud"]


def test_metrics_count_by_route_template_and_outcome() -> None:
    metrics = Metrics()

    metrics.http(method="GET", route="/recommend/{user}", status=200, seconds=0.003)
    metrics.http(method="GET", route=None, status=404, seconds=0.001)
    metrics.recommendation(
        Provenance(RankedBy.LLM, Regime.HISTORY, form=RankingForm.LABEL),
        scenario=None,
        stalled=["memory"],
    )
    metrics.interactions("refused", count=3)
    metrics.forget(scope_kind="topic")

    text = metrics.render().decode()
    route = 'method="GET",route="/recommend/{user}",status="200"'
    assert f'lethe_http_request_seconds_bucket{{le="0.005",{route}}} 1.0' in text
    assert 'route="unmatched",status="404"} 1.0' in text
    labels = 'degraded="false",form="label",personalised="true",ranked_by="llm",regime="history"'
    assert f'lethe_recommendations_total{{{labels},scenario="-"}} 1.0' in text
    assert 'lethe_stalls_total{part="memory"} 1.0' in text
    assert 'lethe_interactions_total{outcome="refused"} 3.0' in text
    assert 'lethe_forgets_total{scope="topic"} 1.0' in text


def test_watched_gauge_is_read_at_every_scrape_and_not_before() -> None:
    values = iter([{"failed": 1.0}, {"failed": 2.0}])
    metrics = Metrics()

    metrics.watch("lethe_requests", "By state.", label="state", read=lambda: next(values))

    assert 'lethe_requests{state="failed"} 1.0' in metrics.render().decode()
    assert 'lethe_requests{state="failed"} 2.0' in metrics.render().decode()
