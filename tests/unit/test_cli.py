"""The command line before any command runs: quick to start, and clear where it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Final

import pytest
import typer

from app.cli import app

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


def named(commands: typer.Typer) -> dict[str, Callable[..., object]]:
    """Return every command by its whole name."""
    found = {
        one.name or one.callback.__name__: one.callback
        for one in commands.registered_commands
        if one.callback
    }
    for group in commands.registered_groups:
        if group.typer_instance:
            inner = named(group.typer_instance)
            found |= {f"{group.name} {name}": one for name, one in inner.items()}
    return found


def test_every_command_that_prints_can_print_json() -> None:
    silent = {"serve", "worker", "verify"}  # verify hands its arguments on, see its own tests
    without = {
        name for name, one in named(app).items() if "as_json" not in signature(one).parameters
    }

    assert without == silent


def test_every_command_is_in_the_page_on_commands() -> None:
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")

    assert [name for name in named(app) if f"`lethe {name}" not in page] == []
