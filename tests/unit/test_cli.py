"""The command line before any command runs: quick to start, and clear where it refuses."""

from __future__ import annotations

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
