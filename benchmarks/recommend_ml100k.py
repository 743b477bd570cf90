"""Real users, real films: whether the lists are right, how fast they come, how well they fit.

Loads MovieLens 100K (``LETHE_MOVIELENS_DIR``) into a fresh data directory, or takes one that
``lethe load`` filled (``--data-dir``), serves it on loopback and asks for 200 random users.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import httpx

from app.adapters.datasets.registry import open_dataset
from app.adapters.system.clock import SystemClock
from app.ports.dataset import InteractionRecord, ItemRecord
from benchmarks.harness import write_result

_SEED: Final = 2026
_N: Final = 10
_HEADERS: Final = {"Authorization": "Bearer dev-service-token"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(data_dir: Path, port: int) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.executable).with_name("lethe")), "serve", "--port", str(port)]
    process = subprocess.Popen([*command, "--data-dir", str(data_dir)], stdout=subprocess.DEVNULL)
    for _ in range(600):
        try:
            httpx.get(f"http://127.0.0.1:{port}/livez", timeout=1).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return process
    process.kill()
    message = "the server did not come up"
    raise RuntimeError(message)


def _load(path: Path, data_dir: Path) -> float:
    """Load the set through the command line; return interactions a second."""
    command = [str(Path(sys.executable).with_name("lethe")), "load", "ml-100k", str(path)]
    done = subprocess.run(
        [*command, "--data-dir", str(data_dir)], check=True, capture_output=True, text=True
    )
    told = re.search(r"([\d.]+) s, (\d+)\s+interactions/s", done.stderr.replace("\n", " "))
    if told is None:
        message = "lethe load did not tell its rate"
        raise RuntimeError(message)
    return float(told[2])


class _Truth:
    """What the files say, independent of the service."""

    def __init__(self, path: Path) -> None:
        dataset = open_dataset("ml-100k", path, now=SystemClock().now())
        self.genres: dict[str, set[str]] = {}
        for entry in dataset.items():
            if isinstance(entry, ItemRecord):
                genres = entry.item.attributes.get("genres", ())
                listed = genres if isinstance(genres, list | tuple) else ()
                self.genres[entry.item.item_id] = {str(genre) for genre in listed}
        self.seen: dict[str, set[str]] = {}
        for record in dataset.interactions():
            if isinstance(record, InteractionRecord) and record.interaction.item_id:
                user = self.seen.setdefault(record.interaction.user, set())
                user.add(record.interaction.item_id)

    def fit(self, user: str, items: list[str]) -> float:
        """Return the mean share of the user's history that shares a genre with an item."""
        weight: Counter[str] = Counter()
        for item in self.seen[user]:
            weight.update(self.genres[item])
        total = sum(weight.values())
        fits = [sum(weight[genre] for genre in self.genres[item]) / total for item in items]
        return statistics.fmean(fits)


def _ask(client: httpx.Client, user: str) -> tuple[dict[str, Any], float]:
    started = time.perf_counter()
    answer = client.get(f"/recommend/{user}", params={"n": _N})
    elapsed_ms = 1_000 * (time.perf_counter() - started)
    answer.raise_for_status()
    return answer.json(), elapsed_ms


def _check(answer: dict[str, Any], *, seen: set[str]) -> list[str]:
    items = [one["item_id"] for one in answer["items"]]
    wrong = []
    if len(items) != _N:
        wrong.append("not n items")
    if len(set(items)) != len(items):
        wrong.append("a duplicate")
    if seen & set(items):
        wrong.append("a seen item")
    if not all(one["title"] for one in answer["items"]):
        wrong.append("no title")
    if not answer["personalised"]:
        wrong.append("not personalised")
    return wrong


def main() -> None:
    """Run, print and write ``benchmarks/results/recommend_ml100k.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="filled before by `lethe load ml-100k`")
    parser.add_argument("--users", type=int, default=200)
    options = parser.parse_args()
    path = Path(os.environ["LETHE_MOVIELENS_DIR"])
    truth = _Truth(path)
    with tempfile.TemporaryDirectory() as folder:
        data_dir = options.data_dir or Path(folder)
        rate = None if options.data_dir else _load(path, data_dir)
        port = _free_port()
        process = _serve(data_dir, port)
        try:
            payload = _measure(truth, port=port, n_users=options.users)
        finally:
            process.terminate()
            process.wait(30)
    payload |= {"seed": _SEED, "load_interactions_per_s": rate}
    print(payload)
    print(write_result("recommend_ml100k", payload))


def _measure(truth: _Truth, *, port: int, n_users: int) -> dict[str, Any]:
    users = random.Random(_SEED).sample(sorted(truth.seen), n_users)  # noqa: S311 - no secret
    wrong: Counter[str] = Counter()
    times: list[float] = []
    fit_list: list[float] = []
    fit_popular: list[float] = []
    stages: dict[str, list[float]] = {}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=_HEADERS, timeout=30) as client:
        for user in users[:20]:
            _ask(client, user)
        popular, _ = _ask(client, "nobody-at-all")
        listed = [one["item_id"] for one in popular["items"]]
        for user in users:
            answer, elapsed_ms = _ask(client, user)
            times.append(elapsed_ms)
            wrong.update(_check(answer, seen=truth.seen[user]))
            fit_list.append(truth.fit(user, [one["item_id"] for one in answer["items"]]))
            fit_popular.append(truth.fit(user, listed))
            for name, value in answer["timings_ms"].items():
                stages.setdefault(name, []).append(value)
    cuts = statistics.quantiles(times, n=100)
    return {
        "users": n_users,
        "wrong": dict(wrong),
        "p50_ms": round(cuts[49], 2),
        "p99_ms": round(cuts[98], 2),
        "genre_fit_list": round(statistics.fmean(fit_list), 4),
        "genre_fit_popular": round(statistics.fmean(fit_popular), 4),
        "lists_that_fit_better": round(
            statistics.fmean(a > b for a, b in zip(fit_list, fit_popular, strict=True)), 3
        ),
        "stage_p50_ms": {name: statistics.median(values) for name, values in stages.items()},
    }


if __name__ == "__main__":
    main()
