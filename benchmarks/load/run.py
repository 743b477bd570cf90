"""How many mixed requests a second the layout of the compose file carries, and what it does beyond.

PostgreSQL twice, Redis, Chroma, a worker, beat and 1, 2 or 4 API processes run on this machine, as
``make up`` starts them, and **the generator shares its cores with them**: with two cores the
figures say how the layout behaves, not what servers of their own would carry. Locust sends in an
open loop: 80 recommendations, 17 batches of three interactions, 1 wish to be forgotten and 2 looks
at its state of a hundred requests. Each rate is held for some seconds.

``python -m benchmarks.load.run`` writes ``results/load.json`` and ``docs/images/load.png``; Locust
comes with ``make setup-load``.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from benchmarks.harness import machine, write_result
from benchmarks.load.layout import MIX, N_ITEMS, N_PEOPLE, PER_PERSON, Sent, Whole, populated
from benchmarks.load.picture import draw

SEED: Final = 18
PROCESSES: Final = (1, 2, 4)
RATES: Final = (5, 20, 60, 160)
SECONDS: Final = 12.0
WARM_UP_S: Final = 5.0
PERCENTILES: Final = (50, 95, 99, 99.9)
_FACTOR: Final = 2**0.25
"""Between two bounds of a histogram: 19 %."""


def percentiles(sent: Sequence[Sent]) -> dict[str, float]:
    """Return milliseconds of these requests: p50, p95, p99, p99.9 and the longest."""
    if not sent:
        return {}
    values = np.array([one.ms for one in sent])
    found = {f"p{at:g}": round(float(np.percentile(values, at)), 1) for at in PERCENTILES}
    return {**found, "max": round(float(values.max()), 1)}


def histogram(sent: Sequence[Sent]) -> dict[str, int]:
    """Return how many took up to so many milliseconds (and longer than the bound before)."""
    bounds = (_FACTOR ** math.ceil(math.log(max(one.ms, 1.0), _FACTOR)) for one in sent)
    counts = Counter(round(bound, 1) for bound in bounds)
    return {f"{bound:g}": count for bound, count in sorted(counts.items())}


def told(sent: Sequence[Sent], *, seconds: float) -> dict[str, Any]:
    """Return the figures of one rate."""
    lists = [one for one in sent if one.kind == "recommend"]
    refused = [one for one in sent if one.status in {429, 503}]
    kinds = sorted({one.kind for one in sent})
    return {
        "sent": len(sent),
        "answered_per_second": round(sum(one.is_answered for one in sent) / seconds, 1),
        "statuses": dict(sorted(Counter(str(one.status) for one in sent).items())),
        "refused": len(refused),
        "refused_with_retry_after": sum(one.has_retry_after for one in refused),
        "ms": {
            kind: percentiles([one for one in sent if one.kind == kind and one.is_answered])
            for kind in kinds
        },
        "ms_of_refusals": percentiles(refused),
        "histogram_of_lists": histogram([one for one in lists if one.is_answered]),
    }


def _curve(made: Whole, rates: Sequence[int], *, seconds: float) -> dict[str, Any]:
    made.traffic(rate=rates[0], seconds=WARM_UP_S, seed=SEED)
    rows, forgotten = [], []
    for rate in rates:
        load = machine()["load_average"]
        sent, accepted = made.traffic(rate=rate, seconds=seconds, seed=SEED + rate)
        forgotten += accepted
        row = {"offered_per_second": rate, **told(sent, seconds=seconds)}
        rows.append({**row, "load_average_before": load})
        print(json.dumps({k: v for k, v in row.items() if k != "histogram_of_lists"}), flush=True)
    begun_s = time.monotonic()
    made.settle()
    return {
        "rates": rows,
        "erasures": dict(Counter(made.states(forgotten).values())),
        "seconds_until_all_erasures_ended": round(time.monotonic() - begun_s, 1),
    }


def main() -> None:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each rate")
    parser.add_argument("--rates", type=int, nargs="+", default=list(RATES))
    arguments = parser.parse_args()
    curves: dict[str, dict[str, Any]] = {}
    with populated() as made:
        for count in PROCESSES:
            made.of_api_processes(count)
            curves[str(count)] = _curve(made, arguments.rates, seconds=arguments.seconds)
    figures = {
        "seed": SEED,
        "people": N_PEOPLE,
        "items": N_ITEMS,
        "interactions": N_PEOPLE * PER_PERSON,
        "mix": dict(MIX),
        "seconds_a_rate": arguments.seconds,
        "seconds_from_nothing_to_healthy": round(made.up_s, 1),
        "generator": "Locust 2.47.0, open loop (Poisson), on the same cores",
        "curves_by_api_processes": curves,
    }
    print(write_result("load", figures))
    draw(figures)


if __name__ == "__main__":
    main()
