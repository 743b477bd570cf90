"""The command line before any command runs: quick to start, and clear where it refuses."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

HEAVY: Final = frozenset(
    {
        *("alembic", "celery", "chromadb", "fastapi", "httpx", "kombu", "model2vec", "numpy"),
        *("onnxruntime", "pydantic_settings", "redis", "scipy", "sqlalchemy", "starlette"),
        *("structlog", "uvicorn", "app.api", "app.bootstrap", "app.services", "app.settings"),
    }
)
"""Without pydantic: Typer itself reads a command's arguments with it."""
_RUN: Final = """
import sys
from app.cli import main
try:
    main()
finally:
    print("\\n" + " ".join(sys.modules), file=sys.stderr)
"""


def run(*arguments: str | bytes) -> subprocess.CompletedProcess[bytes]:
    here = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(here)}
    command = [sys.executable, "-c", _RUN, *arguments]
    return subprocess.run(command, capture_output=True, check=False, env=environment, cwd=here)


@pytest.mark.parametrize(
    ("arguments", "status", "unneeded"),
    [
        (["--help"], 0, HEAVY | {"cryptography", "pydantic"}),
        (["load", "--help"], 0, HEAVY),
        (["verify", "--help"], 0, HEAVY),
        (["verify", "tests/unit/test_cli.py", "--key", "k+00000000+A"], 2, HEAVY),
    ],
)
def test_nothing_heavy_is_imported_when_a_command_needs_none_of_it(
    arguments: list[str], status: int, unneeded: frozenset[str]
) -> None:
    done = run(*arguments)

    imported = done.stderr.decode().splitlines()[-1].split()
    assert done.returncode == status, done.stderr
    assert "app.cli" in imported
    assert unneeded.isdisjoint(imported), sorted(unneeded & set(imported))


def test_an_argument_is_refused_in_one_line_when_it_is_not_utf_8() -> None:
    done = run("recommend", b"\xff\xfe")

    assert done.returncode == 1
    assert b"lethe: argument 2: not UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_public_key_is_shown_while_a_service_holds_the_data(tmp_path: Path) -> None:
    assert run("keys", "show", "--data-dir", str(tmp_path)).returncode == 1  # and makes none
    assert run("audit", "verify", "--data-dir", str(tmp_path)).returncode == 0
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        first, again = (run("keys", "show", "--data-dir", str(tmp_path)) for _ in range(2))

    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith(b"lethe+")
    assert first.stdout == again.stdout


def test_what_auditors_ask_is_told_as_json_too(tmp_path: Path) -> None:
    probed = run("probe", "--json", "--data-dir", str(tmp_path))
    checked = run("audit", "verify", "--json", "--data-dir", str(tmp_path))

    stores = json.loads(probed.stdout)
    log = json.loads(checked.stdout)
    assert (probed.returncode, checked.returncode) == (0, 0)
    assert {one["store"] for one in stores} >= {"memory", "rows", "vault"}
    assert all(one["control_found"] and one["residue"] == 0 for one in stores)
    assert (log["is_whole"], log["is_consistent"], log["problems"]) == (True, True, [])


def test_whatever_a_command_writes_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"

    assert run("audit", "verify", "--data-dir", str(folder)).returncode == 0

    written = [folder, *folder.rglob("*")]
    assert len(written) > 3
    assert [path.name for path in written if path.stat().st_mode & 0o077] == []
