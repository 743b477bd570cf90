"""What callers ask for, in an open loop: Locust's side of ``benchmarks.load``.

Requests are sent at random times (Poisson) at the given rate, whether or not earlier ones have
been answered, so a service that falls behind is not spared. Runs in ``.venv-load`` and imports
nothing of ours. What came of each request is written as a line of CSV: when it was sent (seconds
since 1970), what it was, its milliseconds, the status (0: no answer), and ``Retry-After``.

Read from the environment: ``LOAD_RATE`` (requests a second), ``LOAD_PEOPLE`` (how many there are),
``LOAD_ITEMS``, ``LOAD_MIX`` (JSON: parts of each kind), ``LOAD_SEED``, ``LOAD_TOKEN`` (a file) and
``LOAD_OUT`` (a folder).
"""

from __future__ import annotations

import csv
import json
import os
import random
import time
from pathlib import Path
from typing import Any, Final

from gevent.pool import Group
from locust import FastHttpUser, events, task

RATE: Final = float(os.environ["LOAD_RATE"])
N_PEOPLE: Final = int(os.environ["LOAD_PEOPLE"])
N_ITEMS: Final = int(os.environ["LOAD_ITEMS"])
OUT: Final = Path(os.environ["LOAD_OUT"])
FORGOTTEN: Final = 100
"""People from the end of the list, who leave; nobody else is forgotten."""
MIX: Final[dict[str, int]] = json.loads(os.environ["LOAD_MIX"])
_RANDOM: Final = random.Random(int(os.environ["LOAD_SEED"]))  # noqa: S311 - not for secrets
_HEADERS: Final = {
    "Authorization": f"Bearer {Path(os.environ['LOAD_TOKEN']).read_text().strip()}",
}
_LINES: Final[list[tuple[str, ...]]] = []
LAST_S: Final = 15.0
"""Seconds that answers still under way at the end are waited for."""
_UNDER_WAY: Final = Group()
_REQUESTS: Final[list[str]] = []
"""Ids of the erasure requests that were accepted."""


def _person(n: int) -> str:
    return f"load-{n:05}@example.org"


class Caller(FastHttpUser):
    """Sends one request after the other and waits for none."""

    network_timeout = 10.0
    connection_timeout = 10.0
    concurrency = 2_000
    max_retries = 0

    def wait_time(self) -> float:
        """Return seconds to the next request; all callers together send at the rate."""
        return _RANDOM.expovariate(RATE / self.environment.runner.target_user_count)

    @task
    def send(self) -> None:
        """Send a request."""
        _UNDER_WAY.spawn(self._send)

    def _send(self) -> None:
        (kind,) = _RANDOM.choices(list(MIX), weights=list(MIX.values()))
        if kind == "status" and not _REQUESTS:
            kind = "recommend"
        match kind:
            case "recommend":
                person = _person(_RANDOM.randrange(N_PEOPLE - FORGOTTEN))
                self._ask("GET", f"/recommend/{person}?n=10", kind)
            case "interactions":
                self._ask("POST", "/interactions", kind, json=_events())
            case "forget":
                person = _person(N_PEOPLE - 1 - _RANDOM.randrange(FORGOTTEN))
                wish = {"user": person, "scope": {"kind": "all"}}
                answer = self._ask("POST", "/forget", kind, json=wish)
                if answer.status_code == 202:
                    _REQUESTS.append(answer.json()["request_id"])
            case _:
                self._ask("GET", f"/forget/{_RANDOM.choice(_REQUESTS)}", kind)

    def _ask(self, method: str, path: str, kind: str, **more: Any) -> Any:  # noqa: ANN401 - Locust
        return self.client.request(method, path, name=kind, headers=_HEADERS, **more)


def _events() -> list[dict[str, object]]:
    """Return three things that somebody has just done, each another one than ever before."""
    person = _person(_RANDOM.randrange(N_PEOPLE - FORGOTTEN))
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - _RANDOM.random() * 3_600))
    return [
        {
            "event_id": f"load-{_RANDOM.getrandbits(64):016x}",
            "user": person,
            "item_id": f"load-{int(_RANDOM.paretovariate(1.0)) % N_ITEMS:04}",
            "kind": "rating",
            "value": _RANDOM.choice((2, 3, 4, 5)),
            "occurred_at": at,
        }
        for _ in range(3)
    ]


@events.request.add_listener
def _keep(
    name: str,
    response_time: float,
    response: object,
    start_time: float,
    **_: object,
) -> None:
    status = int(getattr(response, "status_code", 0) or 0)
    headers = getattr(response, "headers", None) or {}
    _LINES.append(
        (
            f"{start_time:.3f}",
            name,
            f"{response_time:.2f}",
            str(status),
            str(headers.get("Retry-After") or ""),
        )
    )


@events.quitting.add_listener
def _write(**_: object) -> None:
    _UNDER_WAY.join(timeout=LAST_S)
    # Time limits are by read: a connection to what was frozen may stay for longer.
    _LINES.extend([(f"{time.time():.3f}", "unfinished", "0", "0", "")] * len(_UNDER_WAY))
    with (OUT / "requests.csv").open("w", newline="") as file:
        csv.writer(file).writerows(_LINES)
    (OUT / "forgotten.txt").write_text("\n".join(_REQUESTS))
