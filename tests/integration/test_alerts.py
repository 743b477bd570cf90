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
        watch_queue(metrics, client, queue="node.chroma-0")
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


def test_prometheus_tells_wrong_rules(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(ALERTS.read_text().replace("max(lethe_erasures_overdue) > 0", "max("))

    with missing_server_is_a_skip():
        assert "parse error" in check_rules(wrong)
