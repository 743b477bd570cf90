"""What every benchmark shares: which machine, which commit, and where the figures go.

A figure without its machine, commit and seed cannot be checked, so ``write_result`` takes
none without them.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

RESULTS: Final = Path(__file__).parent / "results"
_ROOT: Final = Path(__file__).parent.parent
_RESERVED: Final = frozenset({"benchmark", "commit", "date", "machine"})


def machine() -> dict[str, object]:
    """Describe this machine without naming it.

    Returns:
        ``cpu`` (model), ``cores`` (logical), ``memory_gib`` (total), ``python``, ``system``,
        and ``load_average`` over 1, 5 and 15 minutes at the moment of the call.
    """
    return {
        "cpu": _proc_field(Path("/proc/cpuinfo"), name="model name") or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(
            os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, ndigits=1
        ),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": [round(load, ndigits=2) for load in os.getloadavg()],
    }


def commit() -> str:
    """Return the commit of the code that runs, with ``+changes`` where it is not clean.

    Results themselves do not count as changes. Without a repository: ``unknown``.
    """
    head = _git("rev-parse", "HEAD")
    if head is None:
        return "unknown"
    changed = _git("status", "--porcelain", "--", ".", ":!benchmarks/results")
    return f"{head}+changes" if changed else head


def write_result(name: str, payload: Mapping[str, object], *, folder: Path = RESULTS) -> Path:
    """Write ``payload`` with machine, commit and date to ``folder/<name>.json``.

    Args:
        name: what was measured, lower case with underscores or hyphens.
        payload: the figures, as JSON values; ``seed`` is required.
        folder: where results lie.

    Returns:
        The file, keys sorted, one indentation, a line feed at the end.

    Raises:
        ValueError: no seed, a reserved key, or a name that is no plain file name.
    """
    if not name or not all(char.islower() or char.isdigit() or char in "_-" for char in name):
        message = f"not a name for a result: {name!r}"
        raise ValueError(message)
    if "seed" not in payload:
        message = f"the result {name!r} has no seed, so nobody can repeat it"
        raise ValueError(message)
    if taken := _RESERVED & payload.keys():
        message = f"the harness fills these in itself: {sorted(taken)}"
        raise ValueError(message)
    document = {
        **payload,
        "benchmark": name,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None  # a copy without its history, as in a container image
    return done.stdout.strip()


def _proc_field(path: Path, *, name: str) -> str | None:
    if not path.is_file():
        return None  # not Linux
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
