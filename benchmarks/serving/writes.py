"""What it costs a process to follow writes: processor of the thread that does, at ML-1M.

Fifty people a second rate one film each, written to SQL; the process follows the change feed as an
API process does, four times a second, and takes additions into its model now and then. ``python -m
benchmarks.serving.writes`` fills a folder of its own and writes
``benchmarks/results/serving_writes.json``. ``cpu_share`` is of one core; what SQL and the vector
store take to accept a write is the writer's and is not in it.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from app.bootstrap.adapters import Adapters
from app.bootstrap.database import prepare_database
from app.bootstrap.services import container_of
from app.container import Container
from app.domain.models import Item, ItemId, Kind, ReportedInteraction
from app.settings import load_settings
from benchmarks.data import SEED, load
from benchmarks.harness import write_result
from benchmarks.serving.fill import row_of, write_rows

_BATCH: Final = 20_000
_BEAT_S: Final = 0.25


class _Follower(threading.Thread):
    """Follows the feed until it is told to stop, and counts its own processor time."""

    def __init__(self, adapters: Adapters, container: Container) -> None:
        super().__init__()
        self._feed = container.feed
        self._refresh = adapters.neighbours.refresh
        adapters.neighbours.refresh = self._timed  # type: ignore[method-assign]  # a benchmark's
        self.is_over = threading.Event()
        self.cpu_s = self.refresh_cpu_s = 0.0
        self.refreshes = 0

    def _timed(self) -> bool:
        begun = time.thread_time()
        is_done = self._refresh()
        self.refresh_cpu_s += time.thread_time() - begun
        self.refreshes += is_done
        return is_done

    def run(self) -> None:
        begun = time.thread_time()
        while not self.is_over.wait(_BEAT_S):
            self._feed.acknowledge()
        self.cpu_s = time.thread_time() - begun


def _measured(
    adapters: Adapters, container: Container, *, films: list[str], n_users: int, rate: int, s: float
) -> dict[str, float]:
    """Follow for a while, with so many writes a second."""
    rng = random.Random(SEED)  # noqa: S311 - a schedule, not a secret
    follower = _Follower(adapters, container)
    follower.start()
    begun, written = time.monotonic(), 0
    while (passed := time.monotonic() - begun) < s:
        if written < rate * passed:
            rating = ReportedInteraction(
                user=f"user-{rng.randrange(n_users)}",
                event_id=f"write {rate} {written}",
                kind=Kind.RATING,
                occurred_at=datetime.now(UTC),
                item_id=ItemId(rng.choice(films)),
                value=float(rng.randint(1, 5)),
            )
            write_rows(adapters, container, [rating])
            written += 1
        else:
            time.sleep(0.002)
    follower.is_over.set()
    follower.join()
    if rate and not follower.refreshes:
        message = "the writes were not followed, so nothing was measured"
        raise RuntimeError(message)
    return {
        "writes_per_s": round(written / passed, 1),
        "cpu_share": round(follower.cpu_s / passed, 4),
        "cpu_share_of_refreshes": round(follower.refresh_cpu_s / passed, 4),
        "refreshes": follower.refreshes,
        "seconds": round(passed, 1),
    }


def main() -> None:
    """Fill a folder, measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    dataset = load("ml-1m")
    os.environ.pop("LETHE_ML1M_DIR")  # no setting of the service, which refuses unknown ones
    os.environ.pop("LETHE_MOVIELENS_DIR", None)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        settings = load_settings(data_dir=Path(folder))
        prepare_database(settings)
        adapters = Adapters(settings, closing)
        container = container_of(adapters)
        with adapters.uows.write() as uow:
            items = [Item(ItemId(one), f"Film {one}") for one in dataset.item_ids]
            uow.items.upsert(items, at=datetime.now(UTC))
        rows = [
            row_of(f"user-{user}", str(item), at)
            for user, row in enumerate(dataset.histories)
            for at, item in enumerate(row.tolist())
        ]
        for start in range(0, len(rows), _BATCH):
            write_rows(adapters, container, rows[start : start + _BATCH])
        container.feed.start()
        found = {
            str(rate): _measured(
                adapters,
                container,
                films=dataset.item_ids,
                n_users=len(dataset.histories),
                rate=rate,
                s=options.seconds,
            )
            for rate in (0, 10, 50)
        }
        container.feed.stop()
    print(write_result("serving_writes", {"seed": SEED, "data": "ml-1m", "by_writes": found}))
    print(found)


if __name__ == "__main__":
    main()
