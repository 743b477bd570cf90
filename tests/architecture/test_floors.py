from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.architecture.sources import ROOT

UPSIDE_DOWN = """
[importlinter]
root_package = app

[importlinter:contract:1]
name = The floors, upside down
type = layers
layers =
    app.domain
    app.ports
"""


def _lint_imports(config: str) -> subprocess.CompletedProcess[str]:
    # In a process of its own: in ours it would switch off every logger that exists already.
    program = Path(sys.executable).with_name("lint-imports")
    command = [str(program), "--config", config, "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def test_contracts_are_kept() -> None:
    done = _lint_imports("pyproject.toml")

    assert done.returncode == 0, done.stdout


def test_broken_contract_is_seen(tmp_path: Path) -> None:
    config = tmp_path / "importlinter.ini"
    config.write_text(UPSIDE_DOWN)

    done = _lint_imports(str(config))

    assert done.returncode == 1
    assert "upside down BROKEN" in done.stdout
