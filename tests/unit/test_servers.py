from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ServerMissingError, beyond_path, missing_server_is_a_skip
from tests.servers.ports import stop, wait_until_up


def test_a_missing_server_is_a_skip_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LETHE_REQUIRE_SERVICES", raising=False)

    with pytest.raises(pytest.skip.Exception, match="xyz is not"), missing_server_is_a_skip():
        raise ServerMissingError("xyz is not installed")


def test_a_missing_server_fails_when_all_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LETHE_REQUIRE_SERVICES", "1")

    with pytest.raises(pytest.fail.Exception, match="required: xyz"), missing_server_is_a_skip():
        raise ServerMissingError("xyz is not installed")


def test_a_broken_server_is_never_a_skip() -> None:
    with pytest.raises(RuntimeError, match="crashed"), missing_server_is_a_skip():
        raise RuntimeError("it crashed")


def test_nothing_is_found_beyond_the_path_when_that_is_all_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LETHE_TEST_PATH_ONLY", raising=False)
    there = tmp_path / "xyz"
    there.touch()

    assert beyond_path([tmp_path / "absent", there]) == there
    monkeypatch.setenv("LETHE_TEST_PATH_ONLY", "1")
    assert beyond_path([tmp_path / "absent", there]) is None


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
