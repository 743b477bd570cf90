"""Restarts every component of the layout in turn, while callers go on.

The layout of ``make up`` under mixed traffic in an open loop (Locust, on the same cores). API,
worker, beat, Redis, Chroma, PostgreSQL and the vault are each stopped as Docker stops them (a
signal, then a kill) and started again; while one is away and for some seconds after it is healthy
again, what is not answered counts as its. Erasures may be late, and none may be lost. First of all
the API's processes are replaced one after the other (SIGHUP), as for new secrets or a new version:
then nothing at all should go unanswered.

``python -m benchmarks.load.restarts`` writes ``results/load_restarts.json``; exit code 1 where an
erasure was lost or the audit log does not verify.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import machine, write_result
from benchmarks.load.layout import N_PEOPLE, Sent, Whole, populated
from benchmarks.load.run import percentiles
from tests.e2e.processes import wait_for

SEED: Final = 66
MIX: Final = {"recommend": 70, "interactions": 15, "forget": 10, "status": 5}
"""Parts of a hundred requests: more wishes to be forgotten than callers have, for they count."""
COMPONENTS: Final = ("api", "worker", "beat", "redis", "chroma", "postgres", "vault")
AFTER_S: Final = 10.0
"""Seconds after it is healthy in which what goes wrong is still its."""
MOST_S: Final = 1_800.0


@dataclass(frozen=True, slots=True)
class Spell:
    """A disturbance: from when, and when all was healthy again; in seconds since 1970."""

    name: str
    from_s: float
    healthy_s: float

    def has(self, at_s: float) -> bool:
        """Whether what goes wrong at that time is put down to it."""
        return self.from_s <= at_s < self.healthy_s + AFTER_S


def restarted(made: Whole, *, name: str) -> None:
    """Stop a component as Docker does, and start it again."""
    made.layout.stop(name)
    made.layout.restart(name, timeout_s=300)


def by_turns(made: Whole) -> None:
    """Have the API's processes replaced one after the other, as an operator does."""
    before = set(_serving(made))
    os.kill(made.layout.pid("api"), signal.SIGHUP)
    wait_for("they are replaced", lambda: not before & set(_serving(made)), timeout_s=300)


def _serving(made: Whole) -> list[int]:
    """Return the API's processes that answer requests."""
    found = []
    for pid in made.children("api"):
        with suppress(OSError):  # it has ended
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def _disturbed(made: Whole, name: str, disturb: Callable[[Whole], None]) -> Spell:
    from_s = time.time()
    disturb(made)
    spell = Spell(name, from_s, time.time())
    time.sleep(AFTER_S)
    made.layout.tick()
    return spell


def _told(spell: Spell, sent: Sequence[Sent]) -> dict[str, Any]:
    """Return what callers saw of it."""
    within = [one for one in sent if spell.has(one.at_s)]
    failed = [one for one in within if not one.is_answered]
    return {
        "seconds_until_healthy": round(spell.healthy_s - spell.from_s, 1),
        "requests": len(within),
        "statuses": dict(sorted(Counter(str(one.status) for one in within).items())),
        "not_answered": dict(sorted(Counter(one.kind for one in failed).items())),
        "seconds_with_errors": len({int(one.at_s) for one in failed}),
        "ms_of_lists": percentiles([one for one in within if one.kind == "recommend"]),
    }


def measured(
    made: Whole, disturbances: Mapping[str, Callable[[Whole], None]], *, rate: float
) -> dict[str, Any]:
    """Disturb a layout under traffic, one after the other; return what was seen."""
    load = machine()["load_average"]
    locust = made.traffic_begun(rate=rate, seconds=MOST_S, seed=SEED, mix=MIX)
    try:
        time.sleep(AFTER_S)
        spells = [_disturbed(made, name, disturb) for name, disturb in disturbances.items()]
    finally:
        locust.send_signal(signal.SIGTERM)
        locust.wait(120)
    sent, forgotten = made.traffic_seen()
    began_s = time.monotonic()
    made.settle()
    settled_s = time.monotonic() - began_s
    # Somebody who asks again before the erasure is over gets a receipt of the same request.
    states = Counter(made.states(forgotten).values())
    calm = [one for one in sent if not any(spell.has(one.at_s) for spell in spells)]
    return {
        "seed": SEED,
        "people": N_PEOPLE,
        "mix": dict(MIX),
        "offered_per_second": rate,
        "requests": len(sent),
        "load_average_before": load,
        "not_answered_between": sum(not one.is_answered for one in calm),
        "disturbances": {spell.name: _told(spell, sent) for spell in spells},
        "receipts": len(forgotten),
        "erasures": dict(states),
        "lost": states.total() - states["completed"],
        "seconds_until_all_erasures_ended": round(settled_s, 1),
        "log_is_whole": made.as_admin("POST", "/admin/audit/check")["is_whole"],
    }


def report(name: str, disturbances: Mapping[str, Callable[[Whole], None]]) -> None:
    """Disturb a layout, and write what was seen; the exit code is 1 where anything was lost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second")
    parser.add_argument("--only", nargs="+", choices=disturbances, help="and write no result")
    told = parser.parse_args()
    wanted = {one: disturbances[one] for one in told.only or disturbances}
    with populated() as made:
        figures = measured(made, wanted, rate=told.rate)
    print(json.dumps(figures, indent=2))
    if not told.only:
        print(write_result(name, figures))
    if figures["lost"] or not figures["log_is_whole"]:
        raise SystemExit(1)


if __name__ == "__main__":
    stopped = {name: partial(restarted, name=name) for name in COMPONENTS}
    report("load_restarts", {"api, by turns": by_turns, **stopped})
