"""The two wheels, built from nothing but what the repository holds."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
NOT_PACKAGED: Final = {"migrations/script.py.mako"}
"""Needed to write a migration, not to run one."""


def _wheel(names: list[str], *, folder: Path) -> Path:
    """Build a wheel from copies of files of the repository; it lies in ``folder``."""
    source = folder / "source"
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    (project,) = source.rglob("pyproject.toml")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    build += ["--no-build-isolation", "--wheel-dir", str(folder), str(project.parent)]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_wheel_holds_every_file_that_running_needs(tmp_path: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "app", "workers", "migrations"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    needed = [*listed.stdout.splitlines(), "pyproject.toml", "README.md", "LICENSE"]

    with zipfile.ZipFile(_wheel(needed, folder=tmp_path)) as archive:
        held = set(archive.namelist())
        entry = next(name for name in held if name.endswith("entry_points.txt"))
        commands = archive.read(entry).decode()

    assert set(listed.stdout.splitlines()) - held == NOT_PACKAGED
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert "lethe = app.cli:main" in commands
    folders = {name.split("/")[0] for name in held}
    assert {name for name in folders if not name.endswith(".dist-info")} == {
        "app",
        "workers",
        "migrations",
    }


def test_wheel_of_the_client_holds_the_verifier_itself_and_no_link(tmp_path: Path) -> None:
    names = [path.relative_to(ROOT).as_posix() for path in (ROOT / "client").rglob("*.py")]
    names += ["client/pyproject.toml", "client/README.md", "client/src/lethe_client/py.typed"]

    with zipfile.ZipFile(_wheel(names, folder=tmp_path)) as archive:
        held = set(archive.namelist())
        verifier = archive.read("lethe_client/verify_lethe.py")

    assert verifier == (ROOT / "app" / "data" / "verify_lethe.py").read_bytes()
    assert "lethe_client/py.typed" in held
    assert not any(name.startswith("app/") for name in held)
