"""A server of the service in a process of its own, as benchmarks of it need one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from benchmarks.serving.app import SYNTHETIC
from tests.servers.ports import free_port

_HERE: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    pid: int
    start_s: float

    def rss_mib(self) -> float:
        """Return the resident memory of the process."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return round(int(found[1]) / 1024, ndigits=1) if found else 0.0

    def cpu_s(self) -> float:
        """Return the processor seconds that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(
    data_dir: Path,
    *,
    synthetic: int = 0,
    settings: Mapping[str, str] | None = None,
    tree: Path = _HERE,
    factory: str = "benchmarks.serving.app:create",
    timeout_s: float = 300.0,
) -> Iterator[Server]:
    """Serve a directory by the code of a checkout until the block ends; given once it answers."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LETHE_")}
    environment |= {
        "LETHE_DATA_DIR": str(data_dir),
        "LETHE_LOG__FORMAT": "json",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_PERTURB_": "165",
        "PYTHONPATH": str(tree),
        SYNTHETIC: str(synthetic),
        **(settings or {}),
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", factory]
    begun = time.perf_counter()
    with (data_dir / "benchmark.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--no-access-log", "--log-level", "warning"],
            env=environment,
            cwd=tree,
            stdout=log,
            stderr=log,
        )
    try:
        while not _answers(url):
            if process.poll() is not None or time.perf_counter() - begun > timeout_s:
                raise RuntimeError((data_dir / "benchmark.log").read_text()[-2_000:])
            time.sleep(0.05)
        yield Server(url, process.pid, round(time.perf_counter() - begun, ndigits=1))
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    except httpx.HTTPError:
        return False
