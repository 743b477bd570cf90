"""Prometheus' own check of rules, where its tool is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.servers import require_programs


def check_rules(file: Path, *, is_test: bool = False) -> str:
    """Return what promtool finds wrong with a file of rules; nothing where it is right.

    Args:
        is_test: the file has series, and the alerts that they are to raise.

    Raises:
        ServerMissingError: it is not installed.
    """
    require_programs("promtool")
    command = ["promtool", "test" if is_test else "check", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
