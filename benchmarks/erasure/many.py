"""A data-protection officer's list: how soon 5,000 people are suppressed, and certified.

A real ``lethe serve``, everything in one process, and ``lethe forget --file`` against it, as an
operator runs them. Each person has four memories; the demo set lies beside them.

``python -m benchmarks.erasure.many [--people N]`` writes ``results/erasure_many.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

from app.adapters.chroma.heap import require_overwritten_heap
from app.cli.forget_file import forget_file
from app.cli.remote import Remote
from app.cli.runtime import load_demo
from app.settings import Settings
from app.settings_groups import DEVELOPMENT_SERVICE_TOKEN
from benchmarks.erasure.certificates import embedded, user
from benchmarks.erasure.household import opened
from benchmarks.harness import machine, write_result
from tests.e2e.processes import serving

SEED: Final = 16
PER_USER: Final = 4


def fill(settings: Settings, n_people: int) -> None:
    """Write everybody into an empty place."""
    with opened(settings) as household:
        household.fill({user(number): PER_USER for number in range(n_people)}, seed=SEED)
    load_demo(settings)


def measure(folder: Path, n_people: int) -> dict[str, Any]:
    """Return seconds until all are suppressed, and until all are certified."""
    place = embedded(folder)
    fill(place.settings, n_people)
    people = folder / "people.csv"
    people.write_text("user\n" + "".join(f"{user(n)}\n" for n in range(n_people)), "utf-8")
    with serving(place.environment, folder=folder) as running:
        service = Remote(running.url, token=DEVELOPMENT_SERVICE_TOKEN)
        forget = partial(forget_file, people, service, report_path=None)
        started_s = time.monotonic()
        taken = forget(is_awaited=False)
        suppressed_s = time.monotonic() - started_s
        print(json.dumps({"suppressed_s": suppressed_s, **taken}), flush=True)
        ended = forget(is_awaited=True)
        certified_s = time.monotonic() - started_s
    return {
        "n_people": n_people,
        "suppressed_s": round(suppressed_s, ndigits=2),
        "suppressed_per_s": round(n_people / suppressed_s, ndigits=1),
        "certified_s": round(certified_s, ndigits=1),
        "ended": ended,
        "load_average": [round(load, ndigits=1) for load in os.getloadavg()],
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=5_000)
    options = parser.parse_args()
    print(json.dumps(machine()), flush=True)
    with tempfile.TemporaryDirectory(prefix="lethe-many-") as name:
        found = measure(Path(name), options.people)
    write_result("erasure_many", {"seed": SEED, "per_user": PER_USER, **found})
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    require_overwritten_heap()
    main()
