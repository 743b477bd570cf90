"""A data-protection officer's list: how soon 5,000 people are suppressed, and certified.

A real ``lethe serve``, everything in one process, and ``lethe forget --file`` against it, as an
operator runs them. Each person has four memories; the demo set lies beside them.

``python -m benchmarks.erasure.many [--people N] [--minutes M]`` writes
``results/erasure_many.json``.
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
from tests.e2e.calls import Api, calling
from tests.e2e.processes import serving

SEED: Final = 16
PER_USER: Final = 4


def fill(settings: Settings, n_people: int) -> None:
    """Write everybody into an empty place."""
    with opened(settings) as household:
        household.fill({user(number): PER_USER for number in range(n_people)}, seed=SEED)
    load_demo(settings)


def measure(folder: Path, n_people: int, *, most_s: float) -> dict[str, Any]:
    """Return seconds until all are suppressed, and how many are certified after ``most_s``."""
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
        with calling(running.url) as api:
            while (n := _n_completed(api)) < n_people and time.monotonic() - started_s < most_s:
                time.sleep(1)
        certified_s = time.monotonic() - started_s
    return {
        "n_people": n_people,
        "suppressed_s": round(suppressed_s, ndigits=2),
        "suppressed_per_s": round(n_people / suppressed_s, ndigits=1),
        "n_certified": n,
        "certified_s": round(certified_s, ndigits=1),
        "certified_per_s": round(n / certified_s, ndigits=2),
        "load_average": [round(load, ndigits=1) for load in os.getloadavg()],
    }


def _n_completed(api: Api) -> int:
    counts = api.ask("GET", "/admin/requests", params={"limit": 1}, as_admin=True)
    return int(counts["count_by_status"]["completed"])


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=5_000)
    parser.add_argument("--minutes", type=float, default=60.0, help="of waiting for certificates")
    options = parser.parse_args()
    print(json.dumps(machine()), flush=True)
    with tempfile.TemporaryDirectory(prefix="lethe-many-") as name:
        found = measure(Path(name), options.people, most_s=60 * options.minutes)
    write_result("erasure_many", {"seed": SEED, "per_user": PER_USER, **found})
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    require_overwritten_heap()
    main()
