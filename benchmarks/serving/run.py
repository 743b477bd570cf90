"""``GET /recommend`` beside bare routes of the same server, in the same run.

At ML-100K, ML-1M and a million synthetic users over 60,000 items. One server process, one client
process on the same machine. ``bare`` answers a constant, ``row`` one row of the database, and
``gathered`` is a list that may not be made of candidates kept from the answer before. Latency: one
connection, the routes in turns. Throughput: 1, 4 and 16 connections, the routes in turns of some
seconds. ``python -m benchmarks.serving.run --ml-100k folder --ml-1m folder --million folder`` takes
directories that ``lethe load`` and ``benchmarks.serving.fill`` filled; each is changed by the
forgets that are timed. ``--limiter`` measures the throughput by how many recommendations a process
computes at once instead; ``--before tree folder`` serves another checkout, with its directory,
beside this one and measures both in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from app.settings_groups import DEVELOPMENT_SERVICE_TOKEN
from benchmarks.chaos.clients import exchange, request_bytes
from benchmarks.harness import write_result
from benchmarks.serving.fill import N_ASKERS, asker
from benchmarks.serving.server import Server, served

SEED: Final = 2026
N_LATENCY: Final = 600
N_FORGETS: Final = 20
CONNECTIONS: Final = (1, 4, 16)
ROUNDS: Final = 3
_ROUND: Final = {"bare": 1_000, "row": 500, "recommend": 300, "gathered": 150}
_ALIKE: Final = tuple(_ROUND)
_OLD: Final = ("bare", "row", "recommend")
AT_ONCE: Final = (64, 1, 2, 4, 8)
"""What is tried of the setting below; 64 lets all 16 connections be served at once."""
_AT_ONCE: Final = "LETHE_API__RECOMMEND_AT_ONCE"
_FILM: Final = "50"
"""An item of MovieLens 100K."""


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return percentiles."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")  # never beyond the longest
    return {
        "p50": round(cuts[49], ndigits=2),
        "p99": round(cuts[98], ndigits=2),
        "max": round(max(values), ndigits=2),
        "n": len(values),
    }


class Bench:
    """One server and the users to ask it for."""

    def __init__(
        self, server: Server, users: Sequence[str], *, item: str, routes: Sequence[str] = _ALIKE
    ) -> None:
        self._server = server
        self._rng = random.Random(SEED)  # noqa: S311 - a schedule, not a secret
        host = server.url.removeprefix("http://")
        token = DEVELOPMENT_SERVICE_TOKEN
        paths = {
            "bare": ["/bare"],
            "row": [f"/bare/{item}"],
            "recommend": [f"/recommend/{user}?n=10" for user in users],
            "gathered": [f"/recommend/{user}?n=10&exclude={item}" for user in users],
        }
        self._asks = {
            route: [request_bytes("GET", path, token=token, host=host) for path in paths[route]]
            for route in routes
        }
        self._forgets = [
            request_bytes(
                "POST",
                "/forget",
                token=token,
                host=host,
                body=json.dumps({"user": user, "scope": {"kind": "all"}}).encode(),
            )
            for user in users[-N_FORGETS:]
        ]

    def warm(self, *, n_clients: int = 4) -> None:
        """Ask for everybody once, so that nothing is measured for the first time."""
        for asks in self._asks.values():
            exchange(self._server.url, asks, n_clients=n_clients)

    def ask(self, route: str, n: int, *, n_clients: int) -> list[float]:
        """Ask a route and return the milliseconds of each answer."""
        requests = self._rng.choices(self._asks[route], k=n)
        done = exchange(self._server.url, requests, n_clients=n_clients)
        if {one.status for one in done} != {200}:
            raise RuntimeError(route)
        return [1_000 * (one.arrived_s - one.sent_s) for one in done]

    def latency_ms(self) -> dict[str, dict[str, float]]:
        """Return what one client waits, the routes in turns, and how often the time of a row."""
        waits: dict[str, list[float]] = {route: [] for route in self._asks}
        for _ in range(10):
            for route in self._asks:
                waits[route] += self.ask(route, N_LATENCY // 10, n_clients=1)
        report = {route: spread(found) for route, found in waits.items()}
        for found in report.values() if "row" in report else ():
            found["p50_over_row"] = round(found["p50"] / report["row"]["p50"], ndigits=2)
        return report

    def throughput(self, connections: Sequence[int] = CONNECTIONS) -> dict[str, dict[str, float]]:
        """Return answers a second by connections: the median of some rounds, and ratios."""
        return {str(n_clients): self._rates(n_clients) for n_clients in connections}

    def _rates(self, n_clients: int) -> dict[str, float]:
        rates: dict[str, list[float]] = {route: [] for route in self._asks}
        cpu_ms: dict[str, list[float]] = {route: [] for route in self._asks}
        for _ in range(ROUNDS):
            for route in self._asks:
                begun, cpu = time.perf_counter(), self._server.cpu_s()
                self.ask(route, _ROUND[route], n_clients=n_clients)
                rates[route].append(_ROUND[route] / (time.perf_counter() - begun))
                cpu_ms[route].append(1_000 * (self._server.cpu_s() - cpu) / _ROUND[route])
        found = {route: statistics.median(rate) for route, rate in rates.items()}
        used = {route: statistics.median(cost) for route, cost in cpu_ms.items()}
        report = {f"{route}_per_s": rate for route, rate in found.items()}
        report |= {f"{route}_cpu_ms": cost for route, cost in used.items()}
        for route in self._asks if "bare" in self._asks else ():
            report[f"{route}_over_bare"] = found[route] / found["bare"]
            report[f"{route}_cpu_over_bare"] = used[route] / used["bare"]
        return {key: round(value, ndigits=3) for key, value in report.items()}

    def forget_ms(self) -> dict[str, float]:
        """Return what one client waits for the 202 of a forget."""
        done = exchange(self._server.url, self._forgets, n_clients=1)
        if {one.status for one in done} != {202}:
            raise RuntimeError(done[0].body.decode())
        return spread([1_000 * (one.arrived_s - one.sent_s) for one in done])


def measure(
    data_dir: Path, *, users: Sequence[str], item: str, synthetic: int = 0
) -> Mapping[str, object]:
    """Serve a directory and measure everything."""
    with served(data_dir, synthetic=synthetic) as server:
        bench = Bench(server, users, item=item)
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


def measure_before(
    tree: Path, before: Path, after: Path, *, users: Sequence[str]
) -> Mapping[str, object]:
    """Serve one data set by two checkouts at once and measure both in turns."""
    found: dict[str, dict[str, object]] = {}
    with served(before, tree=tree) as old, served(after) as new:
        benches = {
            "before": Bench(old, users, item=_FILM, routes=_OLD),
            "after": Bench(new, users, item=_FILM),
        }
        for bench in benches.values():
            bench.warm()
        for name, bench in benches.items():
            found[name] = {"latency_ms": bench.latency_ms(), "throughput": {}}
        for n_clients in CONNECTIONS:
            for name, bench in benches.items():
                rates = found[name]["throughput"] = {
                    **found[name]["throughput"],  # type: ignore[dict-item]  # made above
                    **bench.throughput([n_clients]),
                }
                print(name, json.dumps(rates[str(n_clients)]), flush=True)
    load = [round(load, ndigits=1) for load in os.getloadavg()]
    return {"load_average": load, **found}


def measure_turns(data_dir: Path, *, users: Sequence[str]) -> Mapping[str, object]:
    """Return the throughput by how many recommendations a process computes at once."""
    found = {}
    for at_once in AT_ONCE:
        with served(data_dir, settings={_AT_ONCE: str(at_once)}) as server:
            bench = Bench(server, users, item=_FILM, routes=_OLD)
            bench.warm()
            found[str(at_once)] = bench.throughput([16])["16"]
        print(at_once, found[str(at_once)], flush=True)
    load = [round(load, ndigits=1) for load in os.getloadavg()]
    return {"load_average": load, "by_recommendations_at_once": found}


def main() -> None:
    """Measure the directories given, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("ml-100k", "ml-1m", "million"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--limiter", action="store_true", help="only this, of --ml-100k")
    parser.add_argument("--before", type=Path, nargs=2, help="a checkout, and its --ml-100k")
    options = parser.parse_args()
    known = [str(user) for user in random.Random(SEED).sample(range(1, 944), N_ASKERS)]  # noqa: S311 - a sample, not a secret
    askers = [asker(n) for n in range(N_ASKERS)]
    common = {"seed": SEED, "connections": CONNECTIONS, "askers": N_ASKERS}
    if options.limiter:
        limiter = measure_turns(options.ml_100k, users=known)
        print(write_result("serving_turns", {**common, "data": "ml-100k", **limiter}))
        return
    if options.before:
        tree, folder = options.before
        both = measure_before(tree, folder, options.ml_100k, users=known)
        print(write_result("serving_before", {**common, "data": "ml-100k", **both}))
        return
    sizes: dict[str, object] = {}
    if options.ml_100k:
        sizes["ml-100k"] = measure(options.ml_100k, users=known, item=_FILM)
    if options.ml_1m:
        sizes["ml-1m"] = measure(options.ml_1m, users=askers, item="50")
    if options.million:
        sizes["1,000,000 users x 60,000 items"] = measure(
            options.million, users=askers, item="50", synthetic=1_000_000
        )
    print(write_result("serving", {**common, "sizes": sizes}))


if __name__ == "__main__":
    main()
