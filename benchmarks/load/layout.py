"""All services of the compose file for a benchmark, with people in them, and Locust before them."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from dotenv import dotenv_values

from tests.e2e.processes import wait_for
from tests.servers import ServerMissingError
from tests.servers.compose import ROOT, Service, services
from tests.servers.layout import Layout, running
from tests.servers.machine import Machine
from tests.servers.ports import free_port

LOCUST: Final = ROOT / ".venv-load" / "bin" / "locust"
N_PEOPLE: Final = 600
N_ITEMS: Final = 800
PER_PERSON: Final = 10
MIX: Final = {"recommend": 80, "interactions": 17, "forget": 1, "status": 2}
"""Parts of a hundred requests; interactions come three at a time."""
_WORDS: Final = ("whales", "rivers", "crowns", "ghosts", "trains", "islands", "comets", "clocks")
_BATCH: Final = 200
_OVER: Final = ("completed", "rejected")
_CALLERS: Final = 20
"""Locust's users; each sends its share of the rate and waits for no answer."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request and what came of it.

    Args:
        at_s: when it was sent, in seconds since 1970.
        kind: ``recommend``, ``interactions``, ``forget`` or ``status``.
        ms: until the answer was read.
        status: of HTTP; 0 where none came in ten seconds, or the connection broke.
        has_retry_after: whether it says when to come back.
    """

    at_s: float
    kind: str
    ms: float
    status: int
    has_retry_after: bool

    @property
    def is_answered(self) -> bool:
        """Whether it was done."""
        return 200 <= self.status < 300


class Whole:
    """The layout that ``make up`` starts, in the hands of one benchmark.

    Args:
        folder: of its files.
        wanted: its services.
        secrets: the folder of secrets.
    """

    up_s = 0.0
    """Seconds from nothing to healthy."""

    def __init__(self, folder: Path, wanted: dict[str, Service], *, secrets: Path) -> None:
        self._services = wanted
        self._folder = folder
        self._machine = Machine(wanted, folder=folder)
        self.layout = Layout(wanted, self._machine, logs=folder / "logs")
        self.url = f"http://127.0.0.1:{self._machine.ports['api']}"
        self._token = secrets / "LETHE_AUTH__SERVICE_TOKEN"
        headers = {"Authorization": f"Bearer {self._token.read_text()}"}
        self.client = httpx.Client(base_url=self.url, headers=headers, timeout=300, trust_env=False)

    def of_api_processes(self, count: int) -> None:
        """Start the API again with so many processes."""
        api = self._services["api"]
        environment = {**api.environment, "WEB_CONCURRENCY": str(count)}
        self._services["api"] = replace(api, environment=environment)
        self.layout.stop("api")
        self.layout.restart("api")

    def settle(self) -> None:
        """Wait until no erasure is open."""
        wait_for("erasures end", lambda: self.n_open() == 0, timeout_s=600)

    def n_open(self) -> int:
        """Return how many erasure requests are not over."""
        text = self.client.get("/metrics").text
        lines = [line for line in text.splitlines() if line.startswith("lethe_erasure_requests{")]
        still = [one for one in lines if not any(state in one for state in _OVER)]
        return sum(int(float(one.split()[1])) for one in still)

    def populate(self) -> None:
        """Put items, and people with what they liked.

        Raises:
            httpx.HTTPStatusError: a batch was refused.
        """
        random_ = random.Random(7)  # noqa: S311 - not for secrets
        items = [
            {"item_id": f"load-{n:04}", "title": f"Title {n}", "description": _described(random_)}
            for n in range(N_ITEMS)
        ]
        self._post("/items", items)
        start = datetime(2026, 1, 1, tzinfo=UTC)
        self._post(
            "/interactions",
            [
                {
                    "event_id": f"first-{person}-{n}",
                    "user": f"load-{person:05}@example.org",
                    "item_id": f"load-{int(random_.paretovariate(0.7)) % N_ITEMS:04}",
                    "kind": "rating",
                    "value": random_.choice((2, 3, 4, 5)),
                    "occurred_at": (start + timedelta(hours=person + n)).isoformat(),
                }
                for person in range(N_PEOPLE)
                for n in range(PER_PERSON)
            ],
        )

    def _post(self, path: str, entries: Sequence[Mapping[str, object]]) -> None:
        for at in range(0, len(entries), _BATCH):
            self.client.post(path, json=entries[at : at + _BATCH]).raise_for_status()

    def traffic(self, *, rate: float, seconds: float, seed: int) -> tuple[list[Sent], list[str]]:
        """Send mixed traffic in an open loop; return what came of it, and whom was forgotten.

        Returns:
            The requests by time, and the ids of erasure requests that were accepted.
        """
        process = self.traffic_begun(rate=rate, seconds=seconds, seed=seed)
        process.wait(timeout=seconds + 120)
        return self.traffic_seen()

    def traffic_begun(
        self, *, rate: float, seconds: float, seed: int, mix: Mapping[str, int] = MIX
    ) -> subprocess.Popen[bytes]:
        """Begin to send, see ``traffic``."""
        told = {
            "LOAD_RATE": str(rate),
            "LOAD_PEOPLE": str(N_PEOPLE),
            "LOAD_ITEMS": str(N_ITEMS),
            "LOAD_MIX": json.dumps(mix),
            "LOAD_SEED": str(seed),
            "LOAD_TOKEN": str(self._token),
            "LOAD_OUT": str(self._folder),
        }
        arguments = [
            *(str(LOCUST), "-f", str(Path(__file__).with_name("traffic.py")), "--headless"),
            *("--host", self.url, "--users", str(_CALLERS), "--spawn-rate", str(_CALLERS)),
            *("--run-time", f"{seconds:.0f}s", "--stop-timeout", "2"),
            *("--only-summary", "--loglevel", "ERROR"),
        ]
        (self._folder / "requests.csv").unlink(missing_ok=True)
        with (self._folder / "locust.log").open("wb") as log:
            return subprocess.Popen(arguments, env=os.environ | told, stdout=log, stderr=log)

    def traffic_seen(self) -> tuple[list[Sent], list[str]]:
        """Return what came of the traffic that has ended."""
        with (self._folder / "requests.csv").open(newline="") as file:
            sent = [
                Sent(float(at), kind, float(ms), int(status), bool(again))
                for at, kind, ms, status, again in csv.reader(file)
            ]
        forgotten = (self._folder / "forgotten.txt").read_text().split()
        return sorted(sent, key=lambda one: one.at_s), forgotten

    def secret(self, service: str, name: str) -> str:
        """Return a secret as a service has it, with the addresses of this machine."""
        folder = self._machine.inside(service, ["lethe"]).environment["LETHE_SECRETS_DIR"]
        return (Path(folder) / name).read_text()

    def children(self, service: str) -> list[int]:
        """Return the processes that a service has started, and those that these have."""
        by_parent: defaultdict[int, list[int]] = defaultdict(list)
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has ended
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                by_parent[parent].append(int(stat.parent.name))
        found, waiting = [], [self.layout.pid(service)]
        while waiting:
            waiting += (begun := by_parent[waiting.pop()])
            found += begun
        return found

    def log_bytes(self) -> dict[str, int]:
        """Return how much each service has written to its log."""
        logs = sorted((self._folder / "logs").glob("*.log"))
        return {one.stem: one.stat().st_size for one in logs}

    def as_admin(self, method: str, path: str) -> Any:  # noqa: ANN401 - JSON
        """Call with the administrator's token; return what is answered."""
        token = self._token.with_name("LETHE_AUTH__ADMIN_TOKEN").read_text()
        headers = {"Authorization": f"Bearer {token}"}
        return self.client.request(method, path, headers=headers).raise_for_status().json()

    def states(self, forgotten: Sequence[str]) -> dict[str, str]:
        """Return the state of each erasure request; ``lost`` where it is not known."""
        found: dict[str, str] = {}
        for request_id in forgotten:
            answer = self.client.get(f"/forget/{request_id}")
            status: Any = answer.json() if answer.is_success else {"status": "lost"}
            found[request_id] = status["status"]
        return found


def _described(random_: random.Random) -> str:
    return f"A story about {' and '.join(random_.sample(_WORDS, 3))}."


@contextmanager
def whole(folder: Path, *, variables: Mapping[str, str] | None = None) -> Iterator[Whole]:
    """Start all services, as ``make env`` and ``make up`` do, until the block ends.

    Args:
        folder: for files and secrets; PostgreSQL's user must be able to go there.
        variables: what ``.env`` has beside what ``make env`` writes.

    Raises:
        ServerMissingError: Locust or a server is not installed.
    """
    if not LOCUST.exists():
        raise ServerMissingError("Locust is not installed (make setup-load)")
    subprocess.run([str(ROOT / ".ci" / "new-env")], cwd=folder, check=True, capture_output=True)
    secrets = folder / "secrets"
    told = {name: value or "" for name, value in dotenv_values(folder / ".env").items()}
    port = {"PORT": str(free_port()), "SECRETS_DIR": str(secrets)}
    wanted = services(variables=told | port | dict(variables or {}), profiles=frozenset())
    made = Whole(folder, wanted, secrets=secrets)
    begun_s = time.monotonic()
    with running(made.layout), made.client:
        made.up_s = time.monotonic() - begun_s
        yield made


@contextmanager
def populated() -> Iterator[Whole]:
    """Start all services in a folder of their own, with people in them; see ``whole``."""
    with tempfile.TemporaryDirectory(prefix="lethe-load-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for PostgreSQL's user
        with whole(folder) as made:
            made.populate()
            yield made
