"""The command line as processes of its own, as an operator or an auditor starts them."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [str(Path(sys.executable).with_name("lethe")), *arguments]
    return subprocess.run(command, capture_output=True, check=False)


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
