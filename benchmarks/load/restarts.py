"""Restarts every component of the layout in turn, while callers go on.

The layout of ``make up`` under mixed traffic in an open loop (Locust, on the same cores). API,
worker, beat, Redis, Chroma, PostgreSQL and the vault are each stopped as Docker stops them (a
signal, then a kill) and started again; while one is away and for some seconds after it is healthy
again, what is not answered counts as its. Erasures may be late, and none may be lost.

``python -m benchmarks.load.restarts`` writes ``results/load_restarts.json``; exit code 1 where an
erasure was lost or the audit log does not verify.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from benchmarks.harness import machine, write_result
from benchmarks.load.layout import N_PEOPLE, Sent, Whole, populated
from benchmarks.load.run import percentiles

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
    with populated() as made:
        figures = measured(made, disturbances, rate=parser.parse_args().rate)
    print(json.dumps(figures, indent=2))
    print(write_result(name, figures))
    if figures["lost"] or not figures["log_is_whole"]:
        raise SystemExit(1)


if __name__ == "__main__":
    report("load_restarts", {name: partial(restarted, name=name) for name in COMPONENTS})
