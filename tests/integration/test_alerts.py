"""The alert file and the dashboard speak of metrics that there are, and of pages that help."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from app.adapters.chroma.maintenance_process import run_maintenance
from app.bootstrap.metrics import (
    timing,
    watch_erasure,
    watch_process,
    watch_queue,
    watch_requests,
)
from app.observability import Metrics
from app.services.erasure.journal import pass_by
from tests.servers import missing_server_is_a_skip
from tests.servers.compose import ROOT
from tests.servers.promtool import check_rules
from tests.servers.redis import RedisServer
from tests.world import open_world

ALERTS = ROOT / "deploy" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "dashboard.json"
_NAME = re.compile(r"\blethe_[a-z_]+")
_OF_MODELS = re.compile(r"lethe_llm_\w+")
"""Shown where there is a language model; tests/integration/test_llm_service.py looks at them."""


def _alerts() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from group["rules"]


def _expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = [target["expr"] for panel in panels for target in panel["targets"]]
    return [*shown, *(alert["expr"] for alert in _alerts())]


HTTP = "lethe_http_request_seconds"
AGE = "lethe_erasure_age_seconds"
RAISING: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "LetheResidue": ({'lethe_residue{kind="open"}': "1x420"}, {}),
    "LetheErasureOverdue": ({'lethe_erasures_overdue{of="open"}': "1x420"}, {}),
    "LetheErasureStuck": (
        {f'{AGE}{{of="oldest_open"}}': "3601x420", 'lethe_erasures_waiting{code="a"}': "1x420"},
        {},
    ),
    "LetheNoCertificate": (
        {f'{AGE}{{of="newest_completed"}}': "86401x420", f'{AGE}{{of="oldest_open"}}': "7201x420"},
        {},
    ),
    "LetheQueueNotRead": ({'lethe_queue_messages{queue="q"}': "101x420"}, {"queue": "q"}),
    "LetheQueueOld": ({'lethe_queue_age_seconds{queue="q"}': "301x420"}, {"queue": "q"}),
    "LetheStalls": (
        {
            'lethe_stalls_total{part="memory"}': "0+2x420",
            "lethe_recommendations_total": "0+100x420",
        },
        {"part": "memory"},
    ),
    "LetheOverloaded": ({f'{HTTP}_count{{route="unmatched",status="503"}}': "0+1x420"}, {}),
    "LetheRecounting": (
        {'lethe_neighbours_total{work="built"}': "0+1x420", "lethe_build_info": "1x420"},
        {},
    ),
    "LetheFailing": (
        {f'{HTTP}_count{{status="500"}}': "0+2x420", f'{HTTP}_count{{status="200"}}': "0+100x420"},
        {},
    ),
    "LetheSlow": (
        {
            f'{HTTP}_bucket{{route="/recommend/{{user}}",le="{bound}"}}': f"0+{n}x420"
            for bound, n in (("0.16", 90), ("0.32", 100), ("+Inf", 100))
        },
        {},
    ),
    "LetheDegraded": (
        {
            'lethe_recommendations_total{degraded="true"}': "0+6x420",
            'lethe_recommendations_total{degraded="false"}': "0+96x420",
        },
        {},
    ),
    "LetheShardWorn": (
        {
            'lethe_shard_dead_slots{shard="memory-00"}': "2001x420",
            'lethe_shard_records{shard="memory-00"}': "1000x420",
        },
        {"shard": "memory-00"},
    ),
    "LetheConnections": (
        {
            'lethe_database_connections{of="most"}': "98x420",
            'lethe_database_connections{of="server"}': "97x420",
        },
        {},
    ),
}
"""Seven hours, a value a minute, that just raise each alert; and the alert's own labels."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> set[str]:
    """The names of everything that a process tells, once something has happened."""
    folder, metrics = tmp_path_factory.mktemp("metrics"), Metrics()
    with open_world(folder) as world, redis.Redis.from_url(redis_server.database(8)) as client:
        world.populate()
        run_maintenance(folder / "chroma")
        watch_erasure(metrics, world.adapters.uows, directory=folder / "chroma")
        watch_process(metrics, world.adapters.uows, feed=world.container.feed)
        watch_requests(metrics, world.adapters.uows, clock=world.clock)
        watch_queue(metrics, client, queue="node.chroma-0", clock=world.clock)
        timing(metrics, world.clock, then=pass_by)("memory:done", 1)
        text = metrics.render().decode()
    return set(re.findall(r"^# TYPE (lethe_\w+)", text, re.MULTILINE))


def test_every_metric_of_a_panel_or_an_alert_is_published(published: set[str]) -> None:
    used = {name for one in _expressions() for name in _NAME.findall(one)}
    plain = {re.sub(r"_(bucket|count|sum)$", "", name) for name in used}

    assert {name for name in plain - published if not _OF_MODELS.fullmatch(name)} == set()


def test_every_alert_leads_to_a_section_of_the_runbook() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    sections = {
        title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", text, re.MULTILINE)
    }

    for alert in _alerts():
        page, _, section = alert["annotations"]["runbook"].partition("#")
        assert (page, section in sections) == ("docs/runbook.md", True), alert["alert"]


def test_prometheus_takes_the_rules() -> None:
    with missing_server_is_a_skip():
        assert check_rules(ALERTS) == ""


def test_each_alert_is_raised_by_what_it_is_for_and_by_a_little_less_it_is_not(
    tmp_path: Path,
) -> None:
    tests: list[dict[str, Any]] = []
    for alert in _alerts():
        series, labels = RAISING[alert["alert"]]
        told = {
            "exp_labels": alert["labels"] | labels,
            "exp_annotations": alert["annotations"],
        }
        for values, expected in ((series, [told]), (_a_little_less(series), [])):
            tests.append(
                {
                    "interval": "1m",
                    "input_series": [
                        {"series": name, "values": value} for name, value in values.items()
                    ],
                    "alert_rule_test": [
                        {
                            "eval_time": "7h" if "Worn" in alert["alert"] else "80m",
                            "alertname": alert["alert"],
                            "exp_alerts": expected,
                        }
                    ],
                }
            )
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "tests": tests}))

    with missing_server_is_a_skip():
        assert check_rules(file, is_test=True) == ""


def _a_little_less(series: dict[str, str]) -> dict[str, str]:
    """Return the series with the first one lower by as little as such values differ by."""
    name, *others = series
    start, plus, step = series[name].removesuffix("x420").partition("+")
    lower = f"{start}+{int(step) - 1}x420" if plus else f"{int(start) - 1}x420"
    if name.startswith(f"{HTTP}_bucket"):
        lower = "0+100x420"  # all within the first bucket
    return {name: lower} | {other: series[other] for other in others}


def test_prometheus_tells_wrong_rules(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(ALERTS.read_text().replace("max(lethe_erasures_overdue) > 0", "max("))

    with missing_server_is_a_skip():
        assert "parse error" in check_rules(wrong)
