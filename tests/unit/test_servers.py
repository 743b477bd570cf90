from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.servers import ServerMissingError, service_or_skip
from tests.servers.ports import stop, wait_until_up

MISSING = ServerMissingError("binary xyz is not installed")


@contextmanager
def _server(*, error: Exception | None = None, events: list[str] | None = None) -> Iterator[str]:
    if error is not None:
        raise error
    try:
        yield "server"
    finally:
        if events is not None:
            events.append("stopped")


def test_skips_with_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LETHE_REQUIRE_SERVICES", raising=False)

    with (
        pytest.raises(pytest.skip.Exception, match="xyz is missing: binary xyz"),
        service_or_skip("xyz", _server(error=MISSING)),
    ):
        pass


def test_fails_when_services_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LETHE_REQUIRE_SERVICES", "1")

    with (
        pytest.raises(pytest.fail.Exception, match="xyz is required: binary xyz"),
        service_or_skip("xyz", _server(error=MISSING)),
    ):
        pass


def test_broken_server_is_never_a_skip() -> None:
    with (
        pytest.raises(RuntimeError, match="crashed"),
        service_or_skip("xyz", _server(error=RuntimeError("it crashed"))),
    ):
        pass


def test_server_is_stopped_when_the_block_fails() -> None:
    events: list[str] = []

    with pytest.raises(ZeroDivisionError), service_or_skip("xyz", _server(events=events)):
        _ = 1 / 0

    assert events == ["stopped"]


def test_waiting_ends_when_the_process_does() -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])

    with pytest.raises(RuntimeError, match="ended with 3"):
        wait_until_up(lambda: False, process)


def test_waiting_ends_when_the_time_does() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

    with pytest.raises(RuntimeError, match="not up after"):
        wait_until_up(lambda: False, process, timeout_s=0.2)

    stop(process)
    assert process.returncode is not None
