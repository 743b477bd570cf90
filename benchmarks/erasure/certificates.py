"""How long a certificate takes, and what other users wait while files are cleaned.

A real ``lethe serve``, everything in one process, over 20,000 memories of users made up and the
demo set beside them. First requests one at a time, then a hundred a minute, then recommendations
to others in turns with and without the maintenance (full-text optimize, VACUUM) running beside,
again and again, which is many times what erasures ask for.

With ``--servers`` the same on PostgreSQL, Redis and a Chroma server, all on this machine, with one
``lethe serve`` and one ``lethe worker`` in a process of its own; PostgreSQL is started here.

``python -m benchmarks.erasure.certificates [--servers]`` writes ``results/`` and ``docs/images/``,
``erasure_certificates`` or ``erasure_certificates_servers``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

from app.adapters.chroma.heap import require_overwritten_heap
from app.adapters.chroma.maintenance_process import run_maintenance
from app.cli.runtime import load_demo
from app.settings import Settings
from benchmarks.erasure.household import opened
from benchmarks.harness import write_result
from tests.e2e.calls import Api, Json, calling
from tests.e2e.cluster import cluster
from tests.e2e.processes import PEPPER, QUICK, serving, wait_for, working
from tests.servers.postgres import started_postgres

mpl.use("Agg")
from matplotlib import pyplot as plt

SEED: Final = 8
N_USERS: Final = 1_000
PER_USER: Final = 20
N_SINGLE: Final = 20
PER_MINUTE: Final = 100
N_READERS: Final = 100
ROUNDS: Final = 3
ROUND_S: Final = 6.0
PICTURES: Final = Path(__file__).parents[2] / "docs/images"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the service keeps its data.

    Args:
        settings: as the service reads them, for whoever fills it.
        environment: as its processes read them.
        has_worker: whether erasures are worked on by a process of their own.
    """

    settings: Settings
    environment: dict[str, str]
    chroma: Path
    has_worker: bool


def embedded(folder: Path) -> Place:
    """Return a place for everything in one process."""
    data_dir = folder / "data"
    settings = Settings.model_validate({"data_dir": data_dir, "pepper": PEPPER})
    environment = {"LETHE_DATA_DIR": str(data_dir), "LETHE_PEPPER": PEPPER}
    return Place(settings, environment, data_dir / "chroma", has_worker=False)


def told(environment: Mapping[str, str], name: str) -> str:
    """Return a setting, wherever it is told: in the environment, or in the file of a secret."""
    folder = environment.get("LETHE_SECRETS_DIR")
    if name in environment or folder is None:
        return environment[name]
    return (Path(folder) / name).read_text().strip()


def on_servers(folder: Path, stack: ExitStack) -> Place:
    """Start the servers as the compose file does; return their place, with usual settings."""
    postgres = stack.enter_context(started_postgres("wal_recycle=off"))
    servers = stack.enter_context(cluster(postgres, folder=folder))
    quick = QUICK.keys() - {"LETHE_PEPPER"}
    environment = {
        name: value for name, value in servers.beside_chroma.items() if name not in quick
    }
    values = {
        "data_dir": folder / "data",
        "pepper": PEPPER,
        "database": {"url": servers.database_url},
        "vault": {
            "url": environment["LETHE_VAULT__URL"],
            "kek": told(environment, "LETHE_VAULT__KEK"),
        },
        "chroma": {"url": servers.chroma.url, "persist_dir": servers.chroma.directory},
    }
    settings = Settings.model_validate(values)
    return Place(settings, environment, servers.chroma.directory, has_worker=True)


def user(number: int) -> str:
    """Return a made-up user's id."""
    return f"leaver-{number:04}"


def fill(settings: Settings) -> None:
    """Write everything into an empty place."""
    with opened(settings) as household:
        household.fill({user(number): PER_USER for number in range(N_USERS)}, seed=SEED)
    load_demo(settings)


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return percentiles."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    shares = {f"p{share}": round(cuts[share - 1], ndigits=4) for share in (50, 95, 99)}
    return {**shares, "max": round(max(seconds), ndigits=4), "n": len(seconds)}


def waited_s(status: Json) -> float:
    """Return the seconds from the receipt of a completed request to its certificate."""
    times = [datetime.fromisoformat(status[name]) for name in ("received_at", "completed_at")]
    return (times[1] - times[0]).total_seconds()


def _ends(statuses: Sequence[Json]) -> dict[str, Any]:
    """Return what became of requests: seconds, attempts, and the journal's median a step."""
    seconds = [waited_s(status) for status in statuses]
    steps: dict[str, list[float]] = {}
    for status in statuses:
        for step in status["steps"]:
            steps.setdefault(step["step"], []).append(step["duration_ms"] / 1_000)
    return {
        "certificate_s": spread(seconds),
        "waits_s": sorted(round(one, ndigits=3) for one in seconds),
        "attempts_more_than_one": sum(status["attempts"] > 1 for status in statuses),
        "step_median_s": {
            step: round(statistics.median(found), ndigits=4) for step, found in steps.items()
        },
        "load_average": [round(load, ndigits=1) for load in os.getloadavg()],
    }


def one_by_one(api: Api) -> dict[str, Any]:
    """Forget users, each when the one before has its certificate."""
    found = []
    for number in range(N_SINGLE):
        request_id = api.forget(user(number))["request_id"]
        found.append(api.completed(request_id))
    return _ends(found)


def stream(url: str, *, minutes: float) -> dict[str, Any]:
    """Forget PER_MINUTE users a minute, evenly; wait for the last certificate."""
    n_requests = round(PER_MINUTE * minutes)
    started_s = time.monotonic()
    late_s: list[float] = []

    def post(number: int) -> str:
        due_s = started_s + number * 60 / PER_MINUTE
        time.sleep(max(0.0, due_s - time.monotonic()))
        with calling(url) as api:
            receipt = api.forget(user(N_SINGLE + number))
        late_s.append(time.monotonic() - due_s)
        return str(receipt["request_id"])

    with ThreadPoolExecutor(16) as pool:
        request_ids = list(pool.map(post, range(n_requests)))
    with calling(url) as api:
        found = [api.completed(request_id, timeout_s=300) for request_id in request_ids]
    return {"minutes": minutes, "answered_202_s": spread(late_s), **_ends(found)}


def beside_vacuum(url: str, chroma: Path) -> dict[str, Any]:
    """Return what readers wait for a recommendation, with and without maintenance beside."""
    readers = cycle(f"reader-{number:03}" for number in range(1, N_READERS + 1))
    waits: dict[str, list[float]] = {"without": [], "with": []}
    cleaning_s: list[float] = []

    def clean_again(stop: threading.Event) -> None:
        while not stop.is_set():
            started = time.perf_counter()
            run_maintenance(chroma)
            cleaning_s.append(time.perf_counter() - started)

    def ask(api: Api, found: list[float]) -> None:
        until_s = time.monotonic() + ROUND_S
        while time.monotonic() < until_s:
            name, started = next(readers), time.perf_counter()
            answer = api.recommend(name)
            found.append(time.perf_counter() - started)
            if not answer["personalised"]:
                raise RuntimeError(name)

    with calling(url) as api, ThreadPoolExecutor(1) as pool:
        ask(api, [])  # nothing is measured for the first time
        for _ in range(ROUNDS):
            ask(api, waits["without"])
            stop = threading.Event()
            cleaning = pool.submit(clean_again, stop)
            ask(api, waits["with"])
            stop.set()
            cleaning.result()
    return {
        **{f"recommend_{name}_s": spread(found) for name, found in waits.items()},
        "maintenance_s": spread(cleaning_s),
        "waits_s": {
            name: [round(one, ndigits=4) for one in sorted(found)] for name, found in waits.items()
        },
        "load_average": [round(load, ndigits=1) for load in os.getloadavg()],
    }


def draw(result: Mapping[str, Any], picture: Path) -> None:
    """Draw both distributions of waits."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    minute = f"{PER_MINUTE} requests a minute"
    panels = (
        (left, (("one request", result["one_by_one"]["waits_s"]),
                (minute, result["stream"]["waits_s"])), "seconds to the certificate"),
        (right, tuple((f"{name} VACUUM beside", found)
                      for name, found in result["vacuum"]["waits_s"].items()),
         "seconds for another user's recommendation"),
    )  # fmt: skip
    for axes, curves, label in panels:
        for name, waits in curves:
            shares = [100 * (number + 1) / len(waits) for number in range(len(waits))]
            axes.plot(waits, shares, label=name)
        axes.set(xlabel=label, ylabel="% within", ylim=(0, 101))
        axes.grid(visible=True, alpha=0.3)
        axes.legend(loc="lower right", fontsize=8)
    left.set_xlim(left=0)
    right.set_xscale("log")
    figure.savefig(picture, dpi=130)
    plt.close(figure)


def measure(place: Place, folder: Path, *, minutes: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Fill and serve; yield each part's name and figures as it is done."""
    fill(place.settings)
    with ExitStack() as stack:
        running = stack.enter_context(serving(place.environment, folder=folder))
        if place.has_worker:
            stack.enter_context(working(place.environment, folder=folder))
        api = stack.enter_context(calling(running.url))
        wait_for("readers are known", lambda: api.recommend("reader-001")["personalised"])
        yield "one_by_one", one_by_one(api)
        yield "stream", stream(running.url, minutes=minutes)
        yield "vacuum", beside_vacuum(running.url, place.chroma)


def main() -> None:
    """Measure; write after each part, so that what was measured is not lost; draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="of a hundred requests each")
    parser.add_argument("--servers", action="store_true", help="PostgreSQL, Redis, Chroma server")
    options = parser.parse_args()
    document: dict[str, Any] = {"seed": SEED, "memories": N_USERS * PER_USER, "per_user": PER_USER}
    result = "erasure_certificates" + ("_servers" if options.servers else "")
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="lethe-certificates-"))
        folder = Path(name)
        place = on_servers(folder, stack) if options.servers else embedded(folder)
        for part, found in measure(place, folder, minutes=options.minutes):
            document[part] = found
            write_result(result, document)
            print(part, json.dumps({**found, "waits_s": None}), flush=True)
    draw(document, PICTURES / f"{result}.png")


if __name__ == "__main__":
    require_overwritten_heap()
    main()
