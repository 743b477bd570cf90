"""Prometheus' own check of rules, where its tool is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.servers import require_programs


def check_rules(file: Path) -> str:
    """Return what promtool finds wrong with a file of rules; nothing where it is right.

    Raises:
        ServerMissingError: it is not installed.
    """
    require_programs("promtool")
    command = ["promtool", "check", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
