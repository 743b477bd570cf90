"""Recommendations in a race with forgets: no answer may rest on what was forgotten.

``python -m benchmarks.chaos.race`` starts a real server on the loopback interface. For each of
200 users, 16 clients ask for recommendations, by address, by body and in a batch in turn, and
somewhere among them one posts a forget. What counts is the client's own clock: when a call was
sent, and when its answer had arrived.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from app.settings_groups import DEVELOPMENT_SERVICE_TOKEN
from benchmarks.chaos.clients import exchange, request_bytes
from benchmarks.harness import write_result
from tests.e2e.calls import Api, calling, interactions, user
from tests.e2e.processes import QUICK, serving

SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a client.

    Args:
        n: whose.
        forgets: item ids that it asks to forget; empty for a recommendation.
        is_whole: it asks to forget everything.
    """

    n: int
    forgets: frozenset[str] = frozenset()
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and when: seconds of the client's clock."""

    call: Call
    sent_s: float
    arrived_s: float
    body: dict[str, Any]

    @property
    def because(self) -> set[str]:
        """Return the remembered items that are named with the recommended ones."""
        items = self.body.get("items", [])
        return {reason["item_id"] for item in items for reason in item["because"]}


@dataclass(frozen=True, slots=True)
class Findings:
    """What the answers show.

    Args:
        rested_before: answers before the 202 that name an erased item: the search finds such.
        in_flight: answers that were under way when the 202 arrived.
        broken: answers to calls sent after the 202 that rest on what was forgotten.
        late: milliseconds by which answers that rest on it arrived after the 202, worst first.
    """

    rested_before: int
    in_flight: int
    broken: int
    late_ms: Sequence[float]


def plan(*, n_users: int, calls_each: int, seed: int) -> list[Call]:
    """Return the calls in the order in which clients take them: every user's in one piece."""
    rng = random.Random(seed)  # noqa: S311 - a schedule, not a secret
    calls: list[Call] = []
    for n in range(n_users):
        seen = sorted(one["item_id"] for one in interactions(n) if "item_id" in one)
        gone = frozenset(seen) if n % 2 == 0 else frozenset(rng.sample(seen, k=2))
        place = rng.randrange(calls_each // 4, calls_each - calls_each // 4)
        piece = [Call(n)] * calls_each
        calls += [*piece[:place], Call(n, gone, is_whole=n % 2 == 0), *piece[place:]]
    return calls


def run(url: str, calls: Sequence[Call], *, n_clients: int) -> list[Answer]:
    """Let clients take the calls one by one; return all answers.

    Raises:
        RuntimeError: an answer was an error.
    """
    host = str(urlsplit(url).netloc)
    requests = [_request(call, host=host, place=place) for place, call in enumerate(calls)]
    found = exchange(url, requests, n_clients=n_clients)
    for one in found:
        if one.status not in {200, 202}:
            message = f"{one.status}: {one.body[:200]!r}"
            raise RuntimeError(message)
    return [
        Answer(calls[one.index], one.sent_s, one.arrived_s, json.loads(one.body)) for one in found
    ]


def _request(call: Call, *, host: str, place: int) -> bytes:
    token, asked = DEVELOPMENT_SERVICE_TOKEN, {"user": user(call.n)}
    if not call.forgets:
        match place % 3:
            case 0:
                path = f"/recommend/{user(call.n)}"
                return request_bytes("GET", path, token=token, host=host)
            case 1:
                body = json.dumps(asked).encode()
                return request_bytes("POST", "/recommend", token=token, host=host, body=body)
            case _:
                body = json.dumps([asked]).encode()
                path = "/recommend/batch"
                return request_bytes("POST", path, token=token, host=host, body=body)
    items = {} if call.is_whole else {"item_ids": sorted(call.forgets)}
    scope = {"kind": "all" if call.is_whole else "items"} | items
    body = json.dumps({"user": user(call.n), "scope": scope}).encode()
    return request_bytes("POST", "/forget", token=token, host=host, body=body)


def judge(answers: Sequence[Answer]) -> Findings:
    """Compare every recommendation with its user's forget."""
    forgets = {one.call.n: one for one in answers if one.call.forgets}
    counts: defaultdict[str, int] = defaultdict(int)
    late_ms = []
    for one in answers:
        if one.call.forgets:
            continue
        forget = forgets[one.call.n]
        rests = _rests_on(one, forget.call)
        if one.arrived_s <= forget.arrived_s:
            counts["before"] += rests
        elif one.sent_s < forget.arrived_s:
            counts["in_flight"] += 1
            if rests:
                late_ms.append(1_000 * (one.arrived_s - forget.arrived_s))
        else:
            counts["broken"] += rests
    return Findings(
        counts["before"], counts["in_flight"], counts["broken"], sorted(late_ms, reverse=True)
    )


def _rests_on(answer: Answer, forget: Call) -> bool:
    """Whether an answer names what was forgotten, or was made under the epoch before."""
    is_old = answer.body["personalised"] and answer.body["epoch"] < 2
    return bool(answer.because & forget.forgets) or is_old


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    last = len(ordered) - 1
    return {
        f"p{share}": round(ordered[min(last, len(ordered) * share // 100)], ndigits=2)
        for share in (50, 90, 99, 100)
    }


def race(api: Api, url: str, *, n_users: int, calls_each: int, n_clients: int) -> dict[str, object]:
    """Load the users, race, wait for every erasure, and return the figures."""
    api.load(range(n_users))
    calls = plan(n_users=n_users, calls_each=calls_each, seed=SEED)
    started_s = time.perf_counter()
    answers = run(url, calls, n_clients=n_clients)
    raced_s = time.perf_counter() - started_s
    found = judge(answers)
    forgets = [one for one in answers if one.call.forgets]
    for one in forgets:
        api.completed(one.body["request_id"], timeout_s=1_200)
    waits: dict[bool, list[float]] = {True: [], False: []}
    for one in answers:
        waits[bool(one.call.forgets)].append(1_000 * (one.arrived_s - one.sent_s))
    return {
        "seed": SEED,
        "clients": n_clients,
        "recommendations": len(answers) - len(forgets),
        "forgets": len(forgets),
        "seconds": round(raced_s, ndigits=1),
        "rested_on_it_before_the_202": found.rested_before,
        "in_flight_at_the_202": found.in_flight,
        "broken_after_the_202": found.broken,
        "arrived_late": len(found.late_ms),
        "arrived_late_ms": [round(late, ndigits=2) for late in found.late_ms[:20]],
        "all_completed_s": round(time.perf_counter() - started_s, ndigits=1),
        "recommend_ms": _percentiles(waits[False]),
        "forget_ms": _percentiles(waits[True]),
    }


def main() -> None:
    """Race, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--calls-each", type=int, default=50)
    parser.add_argument("--clients", type=int, default=16)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lethe-race-") as made:
        folder = Path(made)
        environment = QUICK | {
            "LETHE_DATA_DIR": str(folder / "data"),
            "LETHE_LOG__LEVEL": "warning",
        }
        with serving(environment, folder=folder) as running, calling(running.url) as api:
            figures = race(
                api,
                running.url,
                n_users=arguments.users,
                calls_each=arguments.calls_each,
                n_clients=arguments.clients,
            )
    path = write_result("race", figures)
    print(json.dumps(figures, indent=2))
    print(path)


if __name__ == "__main__":
    main()
