"""The command line as processes of its own, as an operator or an auditor starts them."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final


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


_ALL: Final = """
import sys
from app.cli import app
for line in sys.argv[2:]:
    app(line.split() + ["--data-dir", sys.argv[1]] + ["--json"], standalone_mode=False)
"""


def test_what_operators_do_is_told_as_one_line_of_json_a_command(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "items.csv").write_text("item_id,title\nkettle,Kettle\nteapot,Teapot\n")
    rows = ("user,item_id,time", "dora,kettle,2025-11-01T10:00:00Z", "emil,teapot,2025-11-02")
    (shop / "interactions.csv").write_text("\n".join(rows))
    users = tmp_path / "users.txt"
    users.write_text("dora\nemil\n")

    done = subprocess.run(
        [
            *(sys.executable, "-c", _ALL, str(tmp_path / "data"), f"load csv {shop}"),
            *(f"recommend --users {users}", "forget dora", f"probe --users {users}"),
            *("reindex --all", "rewrap", "keys rotate", "keys show"),
        ],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )

    assert done.returncode == 0, done.stderr
    loaded, *lists, forgot, probe, other, shards, keys, made, shown = [
        json.loads(line) for line in done.stdout.splitlines()
    ]
    assert (loaded["items"], loaded["accepted"], loaded["bad"]) == (2, 2, 0)
    assert [(one["user"], one["items"][0]["title"]) for one in lists] == [
        ("dora", "Teapot"),
        ("emil", "Kettle"),
    ]
    assert forgot["status"] == "completed"
    assert {one["residue"] for one in probe} == {0}  # who was forgotten, and who was not
    assert sum(one["residue"] for one in other) > 0
    assert shards["copied"] >= 1
    assert keys["rewrapped"] == 0  # nobody gave another key-encryption key
    assert keys["keys"] >= 1
    assert made == shown


def test_a_shell_is_told_what_may_come_next_by_the_command_itself() -> None:
    here = Path(__file__).parents[2]
    asked = {"_LETHE_COMPLETE": "complete_bash", "COMP_WORDS": "lethe load m", "COMP_CWORD": "2"}

    done = subprocess.run(
        [Path(sys.executable).with_name("lethe")],
        capture_output=True,
        check=False,
        text=True,
        env=os.environ | {"PYTHONPATH": str(here)} | asked,
        cwd=here,
    )

    assert done.stdout.split() == ["ml-100k", "movielens"]
    assert b"Did you mean 'load'?" in run("lod").stderr


def test_an_error_says_what_to_type_next(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        taken = run("recommend", "ann", "--data-dir", str(tmp_path))
    away = run("recommend", "ann", "--url", "http://127.0.0.1:9")

    assert b"ask it with --url" in taken.stderr
    assert b"start one with: lethe serve --demo" in away.stderr
