"""``GET /recommend`` beside a bare JSON route of the same server, in the same run.

At ML-100K, ML-1M and a million synthetic users over 60,000 items. One server process, one client
process on the same machine. Latency: one connection, both routes in turns. Throughput: 16
connections, both routes in turns of some seconds. ``python -m benchmarks.serving.run --ml-100k
folder --ml-1m folder --million folder`` takes directories that ``lethe load`` and
``benchmarks.serving.fill`` filled; each is changed by the forgets that are timed. ``--limiter``
measures the throughput by how many recommendations a process computes at once instead.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from app.settings_groups import DEVELOPMENT_SERVICE_TOKEN
from benchmarks.chaos.clients import exchange, request_bytes
from benchmarks.harness import write_result
from benchmarks.serving.app import SYNTHETIC
from benchmarks.serving.fill import N_ASKERS, asker
from tests.servers.ports import free_port

SEED: Final = 2026
N_LATENCY: Final = 600
N_FORGETS: Final = 20
CONNECTIONS: Final = 16
ROUNDS: Final = 3
_ROUND: Final = {"bare": 1_500, "recommend": 400}
_START_S: Final = 300.0
AT_ONCE: Final = (64, 1, 2, 4, 8)
"""What is tried of the setting below; 64 lets all 16 connections be served at once."""
_AT_ONCE: Final = "LETHE_API__RECOMMEND_AT_ONCE"


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
    data_dir: Path, *, synthetic: int = 0, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Serve a directory until the block ends; given once it answers."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LETHE_")}
    environment |= {
        "LETHE_DATA_DIR": str(data_dir),
        "LETHE_LOG__FORMAT": "json",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_PERTURB_": "165",
        SYNTHETIC: str(synthetic),
        **(settings or {}),
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.serving.app:create"]
    begun = time.perf_counter()
    with (data_dir / "benchmark.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--no-access-log", "--log-level", "warning"],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        while not _answers(url):
            if process.poll() is not None or time.perf_counter() - begun > _START_S:
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


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return percentiles."""
    cuts = statistics.quantiles(values, n=100)
    return {
        "p50": round(cuts[49], ndigits=2),
        "p99": round(cuts[98], ndigits=2),
        "max": round(max(values), ndigits=2),
        "n": len(values),
    }


class Bench:
    """One server and the users to ask it for."""

    def __init__(self, server: Server, users: Sequence[str]) -> None:
        self._server = server
        self._users = list(users)
        self._rng = random.Random(SEED)  # noqa: S311 - a schedule, not a secret
        host = server.url.removeprefix("http://")
        token = DEVELOPMENT_SERVICE_TOKEN
        self._bare = request_bytes("GET", "/bare", token=token, host=host)
        self._asks = [
            request_bytes("GET", f"/recommend/{user}?n=10", token=token, host=host)
            for user in self._users
        ]
        self._forgets = [
            request_bytes(
                "POST",
                "/forget",
                token=token,
                host=host,
                body=json.dumps({"user": user, "scope": {"kind": "all"}}).encode(),
            )
            for user in self._users[-N_FORGETS:]
        ]

    def _requests(self, route: str, n: int) -> list[bytes]:
        return [self._bare] * n if route == "bare" else self._rng.choices(self._asks, k=n)

    def warm(self) -> None:
        """Ask for everybody once, so that nothing is measured for the first time."""
        exchange(self._server.url, self._asks, n_clients=4)

    def latency_ms(self) -> dict[str, dict[str, float]]:
        """Return what one client waits, both routes in turns."""
        waits: dict[str, list[float]] = {"bare": [], "recommend": []}
        for _ in range(10):
            for route, found in waits.items():
                done = exchange(
                    self._server.url, self._requests(route, N_LATENCY // 10), n_clients=1
                )
                if {one.status for one in done} != {200}:
                    raise RuntimeError(route)
                found += [1_000 * (one.arrived_s - one.sent_s) for one in done]
        return {route: spread(found) for route, found in waits.items()}

    def throughput(self) -> dict[str, float]:
        """Return requests a second of both routes, the median of some rounds, and their ratio."""
        rates: dict[str, list[float]] = {"bare": [], "recommend": []}
        cpu_ms: dict[str, list[float]] = {"bare": [], "recommend": []}
        for _ in range(ROUNDS):
            for route, n in _ROUND.items():
                requests = self._requests(route, n)
                begun, cpu = time.perf_counter(), self._server.cpu_s()
                exchange(self._server.url, requests, n_clients=CONNECTIONS)
                rates[route].append(n / (time.perf_counter() - begun))
                cpu_ms[route].append(1_000 * (self._server.cpu_s() - cpu) / n)
        found = {f"{route}_per_s": statistics.median(rate) for route, rate in rates.items()}
        used = {f"{route}_cpu_ms": statistics.median(cost) for route, cost in cpu_ms.items()}
        ratios = {
            "recommend_over_bare": found["recommend_per_s"] / found["bare_per_s"],
            "bare_cpu_over_recommend_cpu": used["bare_cpu_ms"] / used["recommend_cpu_ms"],
        }
        return {key: round(value, ndigits=3) for key, value in (found | used | ratios).items()}

    def forget_ms(self) -> dict[str, float]:
        """Return what one client waits for the 202 of a forget."""
        done = exchange(self._server.url, self._forgets, n_clients=1)
        if {one.status for one in done} != {202}:
            raise RuntimeError(done[0].body.decode())
        return spread([1_000 * (one.arrived_s - one.sent_s) for one in done])


def measure(data_dir: Path, *, users: Sequence[str], synthetic: int = 0) -> Mapping[str, object]:
    """Serve a directory and measure everything."""
    with served(data_dir, synthetic=synthetic) as server:
        bench = Bench(server, users)
        bench.warm()
        found = {
            "start_s": server.start_s,
            "rss_mib": server.rss_mib(),
            "latency_ms": bench.latency_ms(),
            "throughput": bench.throughput(),
            "load_average": [round(load, ndigits=1) for load in os.getloadavg()],
            "forget_202_ms": bench.forget_ms(),
        }
    print(json.dumps(found, indent=2), flush=True)
    return found


def measure_turns(data_dir: Path, *, users: Sequence[str]) -> Mapping[str, object]:
    """Return the throughput by how many recommendations a process computes at once."""
    found = {}
    for at_once in AT_ONCE:
        with served(data_dir, settings={_AT_ONCE: str(at_once)}) as server:
            bench = Bench(server, users)
            bench.warm()
            found[str(at_once)] = bench.throughput()
        print(at_once, found[str(at_once)], flush=True)
    load = [round(load, ndigits=1) for load in os.getloadavg()]
    return {"load_average": load, "by_recommendations_at_once": found}


def main() -> None:
    """Measure the directories given, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("ml-100k", "ml-1m", "million"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--limiter", action="store_true", help="only this, of --ml-100k")
    options = parser.parse_args()
    known = [str(user) for user in random.Random(SEED).sample(range(1, 944), N_ASKERS)]  # noqa: S311 - a sample, not a secret
    askers = [asker(n) for n in range(N_ASKERS)]
    common = {"seed": SEED, "connections": CONNECTIONS, "askers": N_ASKERS}
    if options.limiter:
        limiter = measure_turns(options.ml_100k, users=known)
        print(write_result("serving_turns", {**common, "data": "ml-100k", **limiter}))
        return
    sizes: dict[str, object] = {}
    if options.ml_100k:
        sizes["ml-100k"] = measure(options.ml_100k, users=known)
    if options.ml_1m:
        sizes["ml-1m"] = measure(options.ml_1m, users=askers)
    if options.million:
        sizes["1,000,000 users x 60,000 items"] = measure(
            options.million, users=askers, synthetic=1_000_000
        )
    print(write_result("serving", {**common, "sizes": sizes}))


if __name__ == "__main__":
    main()
