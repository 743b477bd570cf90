"""What it costs a process to follow writes: processor of the thread that does, at ML-1M.

Fifty people a second rate one film each, written to SQL; the process follows the change feed as an
API process does, four times a second, and takes additions into its model now and then. ``python -m
benchmarks.serving.writes`` fills a folder of its own and writes
``benchmarks/results/serving_writes.json``; with ``--users 300000`` it generates people and writes
``serving_writes_300k.json``; with ``--picture`` it draws ``docs/images/writes.png`` from them.
``cpu_share`` is of one core; what SQL and the vector store take to accept a write is the writer's
and is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib import pyplot as plt

from app.bootstrap.adapters import Adapters
from app.bootstrap.database import prepare_database
from app.bootstrap.services import container_of
from app.container import Container
from app.domain.models import Item, ItemId, Kind, Pseudonym, ReportedInteraction
from app.settings import Settings, load_settings
from benchmarks.data import SEED, load
from benchmarks.harness import RESULTS, write_result
from benchmarks.serving import rows as bulk
from benchmarks.serving.fill import row_of, write, write_rows

mpl.use("Agg")

PICTURE: Final = Path(__file__).parents[2] / "docs" / "images" / "writes.png"
_BATCH: Final = 20_000
_BEAT_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class _People:
    """Who writes, of what.

    Args:
        items: ids.
        number: of people.
        name: what the database calls the one with a number.
    """

    items: Sequence[str]
    number: int
    name: Callable[[Container, int], Pseudonym]


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
    adapters: Adapters, container: Container, people: _People, *, rate: int, seconds: float
) -> dict[str, float]:
    """Follow for a while, with so many writes a second."""
    rng = random.Random(SEED)  # noqa: S311 - a schedule, not a secret
    follower = _Follower(adapters, container)
    follower.start()
    begun, written = time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds:
        if written < rate * passed:
            rating = ReportedInteraction(
                user="somebody",
                event_id=f"write {rate} {written}",
                kind=Kind.RATING,
                occurred_at=datetime.now(UTC),
                item_id=ItemId(rng.choice(people.items)),
                value=float(rng.randint(1, 5)),
            )
            told = container.identity.interaction(rating)
            pseudonym = people.name(container, rng.randrange(people.number))
            write(adapters, [replace(told, pseudonym=pseudonym)])
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


def _of_ml_1m(adapters: Adapters, container: Container) -> _People:
    """Write everybody of ML-1M."""
    dataset = load("ml-1m")
    os.environ.pop("LETHE_ML1M_DIR")  # no setting of the service, which refuses unknown ones
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
    return _People(
        dataset.item_ids,
        len(dataset.histories),
        lambda container, at: container.identity.pseudonym(f"user-{at}"),
    )


def _generated(settings: Settings, n_users: int) -> _People:
    """Write generated people into the folder's database, while nobody has it open."""
    with ExitStack() as closing:
        # A vault that is empty while there are users is refused.
        Adapters(settings, closing).vault.ensure([Pseudonym(bulk.name(0))])
    bulk.write(settings.data_dir / "lethe.db", n_users=n_users)
    return _People(bulk.pairs(1_000)[1], n_users, lambda _, at: Pseudonym(bulk.name(at)))


def draw(path: Path = PICTURE) -> None:
    """Draw what results there are, above each other."""
    bars = {}
    for file in sorted(RESULTS.glob("serving_writes*.json"), reverse=True):
        found = json.loads(file.read_text("utf-8"))
        for rate, one in sorted(found["by_writes"].items(), key=lambda each: -int(each[0])):
            label = f"{found['data']}, {rate} writes a second"
            bars[label] = (one["cpu_share_of_refreshes"], one["cpu_share"])
    figure, axes = plt.subplots(figsize=(8, 0.5 + 0.5 * len(bars)), constrained_layout=True)
    models, whole = zip(*bars.values(), strict=True)
    axes.barh(list(bars), whole, color="#3d5a80", label="following the feed")
    axes.barh(list(bars), models, color="#ee9b00", label="computing models anew")
    axes.axvline(0.1, color="#d1495b", linewidth=1)
    axes.set_xlabel("share of one core")
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Fill a folder, measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--users", type=int, help="generated people in place of ML-1M's")
    parser.add_argument("--rates", type=int, nargs="+", default=[0, 10, 50])
    parser.add_argument("--picture", action="store_true", help="only draw what there is")
    options = parser.parse_args()
    if options.picture:
        draw()
        return
    os.environ.pop("LETHE_MOVIELENS_DIR", None)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        ml_1m = os.environ.pop("LETHE_ML1M_DIR", "")
        settings = load_settings(data_dir=Path(folder))
        prepare_database(settings)
        people = _generated(settings, options.users) if options.users else None
        adapters = Adapters(settings, closing)
        container = container_of(adapters)
        if people is None:
            os.environ["LETHE_ML1M_DIR"] = ml_1m
            people = _of_ml_1m(adapters, container)
        container.feed.start()
        found = {
            str(rate): _measured(
                adapters, container, people, rate=rate, seconds=options.seconds if rate else 15.0
            )
            for rate in options.rates
        }
        container.feed.stop()
    name, data = "serving_writes", "ML-1M"
    if options.users:
        name, data = "serving_writes_300k", f"{options.users:,} generated users"
    print(write_result(name, {"seed": SEED, "data": data, "by_writes": found}))
    print(found)


if __name__ == "__main__":
    main()
