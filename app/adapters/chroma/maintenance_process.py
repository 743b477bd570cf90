"""Starts the maintenance of a Chroma database in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import app
from app.adapters.chroma import index_check, maintenance
from app.domain.errors import DependencyUnavailableError

_ROOT: Final = Path(next(iter(app.__path__))).parent


@dataclass(frozen=True, slots=True)
class IndexFill:
    """How many slots of an index are used, and by how many records.

    Args:
        slots: used slots, those of deleted records included; they are never given back.
        live: records.
        n_bytes: of its files.
    """

    collection: str
    slots: int
    live: int
    n_bytes: int

    @property
    def dead(self) -> int:
        """Return how many slots belong to no record (0 before the index is first written)."""
        return max(0, self.slots - self.live)


@dataclass(frozen=True, slots=True)
class MaintenanceReport:
    """What a maintenance did: bytes returned to the file system, and directories removed.

    Args:
        damaged: collections whose index cannot be read, none of them in ``fill``.
    """

    bytes_freed: int
    directories_removed: int
    fill: tuple[IndexFill, ...]
    damaged: frozenset[str]


def run_maintenance(
    directory: Path, *, is_compacted: bool = False, timeout_s: float = 900.0
) -> MaintenanceReport:
    """Clean the database in ``directory``; return when that is done.

    Safe beside a client or a server that has the database open. One at a time, by a file lock.

    Args:
        directory: the database's.
        is_compacted: give free pages back, too; readers and writers stall meanwhile.
        timeout_s: after which the process is killed; the database survives that.

    Raises:
        DependencyUnavailableError: it did not finish; the files may still hold erased data.
    """
    options = [maintenance.COMPACTED] if is_compacted else []
    return report_of(_run(maintenance.__name__, directory, *options, timeout_s=timeout_s))


def report_of(raw: bytes) -> MaintenanceReport:
    """Return the report of a cleaning, on this machine or another."""
    report = json.loads(raw)
    return MaintenanceReport(
        bytes_freed=report["bytes_freed"],
        directories_removed=report["directories_removed"],
        fill=tuple(IndexFill(*row) for row in report["fill"]),
        damaged=frozenset(report["damaged"]),
    )


def last_fill(directory: Path | None) -> tuple[IndexFill, ...]:
    """Return the fill at the last maintenance; empty if it or the directory is missing."""
    file = None if directory is None else directory / maintenance.FILL_FILE
    if file is None or not file.is_file():
        return ()
    return tuple(IndexFill(*row) for row in json.loads(file.read_text()))


def damaged_collections(directory: Path, *, timeout_s: float = 900.0) -> frozenset[str]:
    """Return the names of collections with a damaged index. Nothing may write meanwhile.

    Raises:
        DependencyUnavailableError: the database cannot be read.
    """
    return frozenset(json.loads(_run(index_check.__name__, directory, timeout_s=timeout_s)))


def _run(module: str, directory: Path, *options: str, timeout_s: float) -> bytes:
    # VACUUM's temporary copy stays on the disk that is probed, not in a shared /tmp.
    environment = os.environ | {"SQLITE_TMPDIR": str(directory)}
    command = [sys.executable, "-m", module, str(directory), *options]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command,
            cwd=_ROOT,
            env=environment,
            capture_output=True,
            timeout=timeout_s,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise DependencyUnavailableError("the vector store's maintenance failed") from exc
    return done.stdout
