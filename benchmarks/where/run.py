"""How long a filter takes, by masks over columns and by the other ways there are.

A made catalogue of 1,000, 10,000 and 100,000 items, filters of 1, 3 and 10 conditions. Each of our
ways must find as many items; what others find is told (``mongoquery`` takes ``$ne`` of a list for
"some element differs", where MongoDB means "no element is"). Times are the process's processor
time and wall time, medians and 99th percentiles, on whatever else the machine does meanwhile
(``load_average`` in the result).

``python -m benchmarks.where.run`` writes ``benchmarks/results/where.json`` and
``docs/images/where.png``. ``mongoquery`` is measured where it is installed (1.4.3), and is no
dependency.
"""

from __future__ import annotations

import gc
import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from typing import Any, Final, cast

import chromadb
import numpy as np
import sqlalchemy as sa
from chromadb.config import Settings

from app.adapters.db.types import UtcDateTime
from app.domain.models import AttributeValue, Item, ItemId
from app.domain.recommendation.columns import Columns
from app.domain.recommendation.filter import CatalogueEntry, Where, matches
from app.domain.recommendation.filter_parser import parse_where
from app.ports.memory_store import CatalogueIndex
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.vectors import ItemVectors
from benchmarks.data import SEED
from benchmarks.harness import write_result
from benchmarks.where.filter_sql import FilterSql
from benchmarks.where.picture import draw

SIZES: Final = (1_000, 10_000, 100_000)
COUNTS: Final = (1, 3, 10)
MOST_IN_CHROMA: Final = 10_000
NOW: Final = datetime(2026, 11, 29, tzinfo=UTC)
GENRES: Final = [f"genre {number}" for number in range(18)]
CONDITIONS: Final[Sequence[Mapping[str, object]]] = (
    {"genres": "genre 0"},
    {"price": {"$lt": 20}},
    {"available": True},
    {"brand": {"$nin": ["brand 1", "brand 7", "brand 30"]}},
    {"released": {"$gte": "-3000d"}},
    {"stock": {"$gt": 3}},
    {"$or": [{"new": True}, {"price": {"$gte": 2.5}}]},
    {"discount": {"$exists": False}},
    {"title": {"$lt": "Title 9"}},
    {"genres": {"$ne": "genre 17"}},
)
TABLE: Final = sa.Table(
    "item",
    sa.MetaData(),
    sa.Column("item_id", sa.Text, primary_key=True),
    sa.Column("title", sa.Text),
    sa.Column("attributes", sa.JSON),
    sa.Column("updated_at", UtcDateTime),
    sa.Column("available", sa.Boolean),
)
OURS: Final = ("masks", "plain", "sqlite_json")
Row = dict[str, object]


def catalogue(size: int) -> list[CatalogueEntry]:
    """Return made items: skewed genres and brands, log-normal prices, dates of eleven years."""
    rng = np.random.default_rng([SEED, size])
    shares = 1 / (np.arange(len(GENRES)) + 1.5)
    entries = []
    for number in range(size):
        chosen = rng.choice(GENRES, rng.integers(1, 5), replace=False, p=shares / shares.sum())
        attributes: dict[str, AttributeValue] = {
            "genres": chosen.tolist(),
            "price": round(float(rng.lognormal(3, 1)), 2),
            "brand": f"brand {int(rng.zipf(1.3)) % 500}",
            "stock": int(rng.integers(0, 200)),
            "released": (NOW - timedelta(days=int(rng.integers(0, 4000)))).date().isoformat(),
            "new": bool(rng.random() < 0.15),
        }
        if rng.random() < 0.05:
            attributes["discount"] = int(rng.integers(5, 60))
        item = Item(ItemId(f"sku-{number:07}"), f"Title {number}", attributes=attributes)
        entries.append(CatalogueEntry(item, NOW, available=bool(rng.random() < 0.9)))
    return entries


def filter_of(count: int) -> dict[str, object]:
    """Return a filter of the first conditions."""
    return {"$and": [*CONDITIONS[:count]]}


def timed(work: Callable[[], int], *, repeats: int) -> tuple[int, Row]:
    """Return what ``work`` found, and milliseconds of processor and wall time."""
    cpus, walls, found = [], [], work()
    gc.collect()
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        cpus.append(1e3 * (time.process_time() - cpu))
        walls.append(1e3 * (time.perf_counter() - wall))
    spread = {
        f"{name}_{label}": round(float(np.quantile(values, share)), 4)
        for name, values in (("cpu_ms", cpus), ("wall_ms", walls))
        for label, share in (("p50", 0.5), ("p99", 0.99))
    }
    return found, {**spread, "n": repeats}


def database(entries: Sequence[CatalogueEntry]) -> sa.Connection:
    """Return an SQLite database in memory with these items."""
    connection = sa.create_engine("sqlite://").connect()
    TABLE.create(connection)
    rows = [
        {
            "item_id": entry.item.item_id,
            "title": entry.item.title,
            "attributes": dict(entry.item.attributes),
            "updated_at": entry.updated_at,
            "available": entry.available,
        }
        for entry in entries
    ]
    connection.execute(sa.insert(TABLE), rows)
    return connection


def count_in_sql(connection: sa.Connection, where: Where) -> int:
    """Count by the filter as SQL."""
    condition = FilterSql(TABLE, is_postgres=False).condition(where)
    count = sa.select(sa.func.count()).select_from(TABLE).where(condition)
    return int(connection.execute(count).scalar_one())


def documents_of(entries: Sequence[CatalogueEntry]) -> list[Any]:
    """Return flat documents, as document filters want them."""
    return [
        {**entry.item.attributes, "title": entry.item.title, "available": entry.available}
        for entry in entries
    ]


def chroma_count(entries: Sequence[CatalogueEntry]) -> Callable[[], int]:
    """Return a count by Chroma's own filter, of the first three conditions in its words."""
    client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))
    collection = client.get_or_create_collection(f"items-{len(entries)}")
    documents = documents_of(entries)
    for first in range(0, len(entries), 1_000):
        part = documents[first : first + 1_000]
        collection.add(
            ids=[str(first + number) for number in range(len(part))],
            embeddings=np.ones((len(part), 2), dtype=np.float32),
            metadatas=part,
        )
    where: dict[str, Any] = {
        "$and": [{"genres": {"$contains": "genre 0"}}, {"price": {"$lt": 20}}, {"available": True}]
    }
    return lambda: len(collection.get(where=where, include=[])["ids"])


def without_dates(count: int) -> dict[str, object]:
    """Return the filter with the relative date as the text that it comes to."""
    since = (NOW - timedelta(days=3000)).date().isoformat()
    return {
        "$and": [
            {"released": {"$gte": since}} if "released" in one else dict(one)
            for one in CONDITIONS[:count]
        ]
    }


def ways(
    entries: Sequence[CatalogueEntry], columns: Columns, connection: sa.Connection, count: int
) -> dict[str, tuple[Callable[[], int], int]]:
    """Return each way to count what a filter lets pass, and how often to do it."""
    where = parse_where(filter_of(count), now=NOW, attributes=None)
    few = max(2, 20_000 // len(entries))
    found: dict[str, tuple[Callable[[], int], int]] = {
        "masks": (lambda: int(np.count_nonzero(columns.mask(where))), 500),
        "plain": (lambda: sum(matches(where, entry) for entry in entries), few),
        "sqlite_json": (partial(count_in_sql, connection, where), few),
    }
    if find_spec("mongoquery"):
        query = importlib.import_module("mongoquery").Query(without_dates(count))
        documents = documents_of(entries)
        found["mongoquery"] = (lambda: sum(map(query.match, documents)), few)
    if count == 3 and len(entries) <= MOST_IN_CHROMA:
        found["chroma"] = (chroma_count(entries), few)
    return found


def top_ten(columns: Columns) -> Row:
    """Time the ten best of all scores, and with a filter of three conditions parsed before."""
    scores = np.random.default_rng(SEED).random(len(columns.entries), dtype=np.float32)

    def best(values: np.ndarray[Any, np.dtype[np.float32]]) -> int:
        return int(np.argpartition(values, -10)[-10:].sum() >= 0)

    def filtered() -> int:
        where = parse_where(filter_of(3), now=NOW, attributes=None)
        return best(np.where(columns.mask(where), scores, np.float32(-np.inf)))

    _, without = timed(lambda: best(scores), repeats=300)
    _, with_it = timed(filtered, repeats=300)
    return {"without": without, "with": with_it}


def size_row(size: int) -> Row:
    """Measure one size."""
    entries = catalogue(size)
    begun = time.process_time()
    columns = Columns.of(entries)
    built = time.process_time() - begun
    changed = CatalogueEntry(
        Item(
            entries[7].item.item_id,
            entries[7].item.title,
            attributes={**entries[7].item.attributes, "price": 1.23},
        ),
        NOW,
    )
    snapshot = CatalogueSnapshot(0, ItemVectors(cast("CatalogueIndex", None)))
    snapshot = snapshot.after(entries, removed=(), version=1).in_order()
    _, replaced = timed(
        lambda: len(snapshot.after([changed], removed=(), version=2).entries), repeats=5
    )
    filters = []
    with database(entries) as connection:
        for count in COUNTS:
            document = filter_of(count)
            read = partial(parse_where, document, now=NOW, attributes=snapshot.names)
            _, parse = timed(lambda read=read: len(read().clauses), repeats=300)  # type: ignore[misc]
            row: Row = {"conditions": count, "parse": parse}
            matched: dict[str, int] = {}
            for name, (work, repeats) in ways(entries, columns, connection, count).items():
                matched[name], row[name] = timed(work, repeats=repeats)
            if len({matched[name] for name in OURS}) != 1:
                message = f"the ways do not find the same: {matched}"
                raise RuntimeError(message)
            filters.append({**row, "matched": matched})
            print(size, count, filters[-1], flush=True)
    return {
        "items": size,
        "build_cpu_s": round(built, 3),
        "bytes_an_item": round(columns.nbytes / size, 1),
        "take_price_of_one": replaced,
        "filters": filters,
        "top_ten": top_ten(columns),
    }


def main() -> None:
    """Measure all sizes, write the result and draw it."""
    rows = [size_row(size) for size in SIZES]
    path = write_result("where", {"seed": SEED, "conditions": [*CONDITIONS], "sizes": rows})
    draw(path)
    print(path.read_text("utf-8"))


if __name__ == "__main__":
    main()
