"""The auditor's page, typed as it stands: planted bytes are found before and absent after."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.processes import QUICK, ROOT, Running, serving
from tests.servers import require_programs

PAGE: Final = ROOT / "docs" / "guides" / "auditor.md"
DATA: Final = "lethe-data"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    environment = QUICK | {"LETHE_DATA_DIR": str(tmp_path / DATA)}
    with serving(environment, folder=tmp_path) as running:
        yield running


def blocks(language: str) -> list[str]:
    _, _, drill = PAGE.read_text(encoding="utf-8").partition("## The drill")
    return re.findall(rf"^```{language}\n(.*?)^```$", drill, re.DOTALL | re.MULTILINE)


def typed(lines: str, *, folder: Path, url: str) -> list[str]:
    """Run lines of the page as a shell does; return what they print."""
    command = lines.replace("http://127.0.0.1:8000", url)
    command = command.replace(".venv/bin/lethe", str(Path(sys.executable).parent / "lethe"))
    command = command.replace("python look.py", f"{sys.executable} look.py")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "LETHE_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_an_auditors_own_tools_find_the_planted_before_and_nothing_after(
    server: Running, tmp_path: Path
) -> None:
    require_programs("jq")
    (tmp_path / "look.py").write_text(blocks("py")[0])
    plant, before, forget, after = blocks("sh")

    typed(plant, folder=tmp_path, url=server.url)
    *files, kinds = typed(before, folder=tmp_path, url=server.url)
    (told,) = typed(forget, folder=tmp_path, url=server.url)
    left = typed(after, folder=tmp_path, url=server.url)

    assert {Path(file).name.partition("-")[0] for file in files} >= {"chroma.sqlite3", "lethe.db"}
    found = json.loads(kinds.replace("'", '"'))
    assert found["document"] >= 3
    assert found["vector"] == 3
    assert {*found} == {"document", "id", "key", "pseudonym", "vector"}, "words lie there in clear"
    assert json.loads(told)["status"] == "completed"
    assert left == ["grep finds nothing", "{}"]
