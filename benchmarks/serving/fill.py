"""Filling a data directory for a serving benchmark, faster than a load would.

Askers are taken in as the service takes anybody in. Of the others only the rows are written,
which is all that their neighbours are made of: an answer reads no memory but the asker's.
"""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from app.bootstrap.adapters import Adapters
from app.bootstrap.database import prepare_database
from app.bootstrap.services import container_of
from app.container import Container
from app.domain.models import (
    Interaction,
    Item,
    ItemId,
    Kind,
    RecordId,
    ReportedInteraction,
)
from app.ports.persistence.records import NewInteraction
from app.settings import load_settings
from benchmarks.data import load
from benchmarks.neighbours.scaling import N_ITEMS, synthetic

BEGUN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_BATCH: Final = 20_000
_ITEMS: Final = 5_000
N_ASKERS: Final = 200
_WORDS: Final = "whale river crown ghost train island winter orchard comet clock mirror harbour"
Histories = Sequence[tuple[str, Sequence[str]]]


def asker(n: int) -> str:
    """Return the id of a user who has memories."""
    return f"asker-{n:05d}"


def fill(data_dir: Path, *, items: Sequence[str], histories: Histories) -> None:
    """Write the catalogue, askers' memories and everybody's rows into an empty directory."""
    settings = load_settings(data_dir=data_dir)
    prepare_database(settings)
    with ExitStack() as closing:
        adapters = Adapters(settings, closing)
        container = container_of(adapters)
        titles = _titles(len(items))
        for start in range(0, len(items), _ITEMS):
            container.catalogue.upsert(
                [
                    Item(ItemId(item), titles[start + at])
                    for at, item in enumerate(items[start : start + _ITEMS])
                ]
            )
        rows = [row_of(user, item, at) for user, row in histories for at, item in enumerate(row)]
        asking = [row for row in rows if row.user.startswith("asker-")]
        for start in range(0, len(asking), _ITEMS):
            part = asking[start : start + _ITEMS]
            container.ingest.record([container.identity.interaction(row) for row in part])
        others = [row for row in rows if not row.user.startswith("asker-")]
        for start in range(0, len(others), _BATCH):
            write_rows(adapters, container, others[start : start + _BATCH])


def _titles(n: int) -> list[str]:
    """Return titles of three words each, so that items lie apart in the catalogue index."""
    words = [
        "whale",
        "river",
        "crown",
        "ghost",
        "train",
        "island",
        "winter",
        "orchard",
        "comet",
        "clock",
        "mirror",
        "harbour",
    ]
    size = len(words)
    return [
        f"{words[at % size]} {words[at // size % size]} {words[at // size**2 % size]} {at}"
        for at in range(n)
    ]


def row_of(user: str, item: str, at: int) -> ReportedInteraction:
    """Return a good rating, so many minutes after the begin."""
    return ReportedInteraction(
        user=user,
        event_id=item,
        kind=Kind.RATING,
        occurred_at=BEGUN + timedelta(minutes=at),
        item_id=ItemId(item),
        value=4.0,
    )


def write_rows(
    adapters: Adapters, container: Container, rows: Sequence[ReportedInteraction]
) -> None:
    """Write the rows and tell the feed; nothing of them is in the vector store."""
    write(adapters, [container.identity.interaction(row) for row in rows])


def write(adapters: Adapters, interactions: Sequence[Interaction]) -> None:
    """Write what was done with items and tell the feed, as the service does."""
    new = [NewInteraction(one, RecordId(secrets.token_hex(16))) for one in interactions]
    with adapters.uows.write() as uow:
        for pseudonym in sorted({row.interaction.pseudonym for row in new}):
            uow.subjects.create(pseudonym, epoch=1)
        uow.interactions.add(new, pending_until=BEGUN, received_at=BEGUN)
        uow.interactions.mark_stored([row.record_id for row in new], lease=BEGUN)
        uow.changes.append({row.interaction.pseudonym for row in new}, at_once=False)


def ml_1m() -> tuple[list[str], Histories]:
    """Return items and histories of ML-1M; its first users are the askers."""
    dataset = load("ml-1m")
    named = [
        (asker(user) if user < N_ASKERS else f"user-{user}", [str(item) for item in row.tolist()])
        for user, row in enumerate(dataset.histories)
    ]
    return dataset.item_ids, named


def million() -> tuple[list[str], Histories]:
    """Return 60,000 items and the askers; the million are made in the process that serves."""
    histories = islice((row for row in synthetic(10_000) if len(set(row[1])) >= 10), N_ASKERS)
    named = [(asker(n), sorted(set(row))) for n, (_, row) in enumerate(histories)]
    return [str(item) for item in range(N_ITEMS)], named


def main() -> None:
    """Fill ``--data-dir`` with ``--data``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=["ml-1m", "million"], required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    options = parser.parse_args()
    items, histories = ml_1m() if options.data == "ml-1m" else million()
    os.environ.pop("LETHE_ML1M_DIR", None)  # no setting of the service, which refuses unknown ones
    fill(options.data_dir, items=items, histories=histories)


if __name__ == "__main__":
    main()
