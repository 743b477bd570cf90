"""Processor seconds of a cluster's processes, by the machine that each would run on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.e2e.nodes import Nodes
from tests.e2e.processes import Running
from tests.servers.postgres import PostgresServer

SHARED: Final = "shared"
"""The machine of the API process, PostgreSQL and Redis."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PARENT, _SESSION, _TIMES = 1, 3, slice(11, 15)


def _processes() -> Iterator[tuple[int, list[str], str]]:
    """Yield of each process its number, the fields of its state, and its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it has ended
            yield int(entry.name), text.rpartition(")")[2].split(), command


def busy(
    nodes: Nodes, *, workers: Sequence[Running], api: Running, postgres: PostgresServer
) -> dict[str, float]:
    """Return the seconds until now by machine: ``chroma-0`` and so on, and SHARED.

    Of a node its Chroma server and its worker. Children that have ended count for their parents.
    """
    data = Path(str(postgres.data))
    postmaster = int((data / "postmaster.pid").read_text().splitlines()[0])
    sessions = {worker.process.pid: f"chroma-{n}" for n, worker in enumerate(workers)}
    sessions[api.process.pid] = SHARED
    found: dict[str, float] = dict.fromkeys([*sessions.values()], 0.0)
    for pid, fields, command in _processes():
        place = sessions.get(int(fields[_SESSION])) or _server(command, nodes.directories)
        if pid == postmaster or int(fields[_PARENT]) == postmaster or "redis-server" in command:
            place = SHARED
        if place is not None:
            found[place] += sum(map(int, fields[_TIMES])) / _TICKS
    return found


def _server(command: str, directories: Sequence[Path]) -> str | None:
    if "chroma" not in command or " run " not in command:
        return None
    here = [number for number, one in enumerate(directories) if f" {one} " in f"{command} "]
    return f"chroma-{here[0]}" if here else None


def between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds from one moment to another."""
    return {place: round(after[place] - before[place], 2) for place in after}
