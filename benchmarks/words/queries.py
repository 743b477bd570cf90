"""Measure what words in common add to the embedder, for what people look for in words.

    python -m benchmarks.words.queries [--seed 2026]

Over the demo set: ``known`` are the 70 rows of ``queries.tsv``, each a description in words of our
own with the books that are meant, four of them in German; ``taste`` are the notes that simulated
readers leave, where the books of that kind are meant. NDCG@10 of: the embedder; words alone;
``shared``, counting common words among the embedder's first 300, as before the lexicon; and both,
fused as ``app.services.recommendation.candidates`` does, with words counting so much. ``gain`` is
the difference to ``shared`` of the served weight, query by query. Where the weight was chosen by
these very queries, the gain is too good by about the spread of the weights around it.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from app.adapters.embedders.static import StaticEmbedder
from app.domain.models import Item, ItemId, Scored
from app.domain.recommendation.fusion import reciprocal_ranks
from app.domain.recommendation.memory import describe_item
from app.domain.recommendation.topic import words_about, words_of
from app.services.catalogue.lexicon import Lexicon
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.vectors import ItemVectors
from benchmarks.demo.make import NOTES, demo_books
from benchmarks.harness import write_result
from benchmarks.quality.metrics import interval
from tests.fakes_memory import FakeCatalogueIndex

QUERIES: Final = Path(__file__).with_name("queries.tsv")
DEPTH: Final = 300
WEIGHTS: Final = (0.25, 0.5, 1.0, 2.0)
SERVED: Final = 0.5
LARGE: Final = 100_000
Queries = list[tuple[str, set[ItemId]]]


def demo_catalogue() -> CatalogueSnapshot:
    """Return the demo's books."""
    return catalogue_of(demo_books())


def catalogue_of(items: Sequence[Item]) -> CatalogueSnapshot:
    """Return these items with the vectors of the shipped embedder."""
    index = FakeCatalogueIndex()
    index.upsert(items, StaticEmbedder().embed([describe_item(one) for one in items]))
    return CatalogueSnapshot.of(items, ItemVectors(index))


def known_queries() -> Queries:
    """Return the queries that mean certain books."""
    with QUERIES.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [(row["query"], set(map(ItemId, row["wanted"].split()))) for row in rows]


def taste_queries(catalogue: CatalogueSnapshot) -> Queries:
    """Return the readers' notes, each with the books of the kind that it was written for."""
    items = [one.item for one in catalogue.entries.values()]
    by_kind = {
        kind: {one.item_id for one in items if subjects_of(one)[:1] == [kind]} for kind in NOTES
    }
    return [(text, by_kind[kind]) for kind, texts in NOTES.items() for text in texts]


def ndcg(order: Sequence[ItemId], wanted: set[ItemId]) -> float:
    """Return NDCG@10 with the ideal over min(10, wanted items)."""
    discounts = 1 / np.log2(np.arange(2, 12))
    hits = [item_id in wanted for item_id in order[:10]]
    return float(discounts[: len(hits)] @ hits / discounts[: len(wanted)].sum())


def fused(*rankings: tuple[Sequence[Scored], float]) -> list[ItemId]:
    """Return the items by reciprocal ranks, best first."""
    scores: dict[ItemId, float] = {}
    for ranking, weight in rankings:
        for item_id, share in reciprocal_ranks(ranking, weight=weight).items():
            scores[item_id] = scores.get(item_id, 0.0) + share
    return sorted(scores, key=lambda one: (-scores[one], one))


def shared(text: str, near: Sequence[Scored], catalogue: CatalogueSnapshot) -> list[Scored]:
    """Return those of the nearest items that share words, by how many, ties with one rank."""
    words = set(words_of(text))
    counts = {
        one.item_id: len(words & set(words_of(words_about(catalogue.entries[one.item_id].item))))
        for one in near
    }
    steps = sorted({count for count in counts.values() if count}, reverse=True)
    return [Scored(one, n, 1 + steps.index(n)) for one, n in counts.items() if n]


def measure(queries: Queries, catalogue: CatalogueSnapshot, *, seed: int) -> dict[str, object]:
    """Return the figures of some queries."""
    values: dict[str, list[float]] = {}
    words_ms = []
    vectors = StaticEmbedder().embed([text for text, _ in queries])
    for (text, wanted), vector in zip(queries, vectors, strict=True):
        near = catalogue.nearest(vector, top_n=DEPTH)
        started = time.perf_counter()
        wordy = catalogue.wordy(text, top_n=DEPTH)
        words_ms.append(1000 * (time.perf_counter() - started))
        orders: Mapping[str, list[ItemId]] = {
            "embedder": [one.item_id for one in near],
            "words": [one.item_id for one in wordy],
            "shared": fused((near, 1.0), (shared(text, near, catalogue), 1.0)),
            **{f"both at {weight}": fused((near, 1.0), (wordy, weight)) for weight in WEIGHTS},
        }
        for name, order in orders.items():
            values.setdefault(name, []).append(ndcg(order, wanted))
    arrays = {name: np.array(found) for name, found in values.items()}
    served = arrays[f"both at {SERVED}"]
    return {
        "queries": len(queries),
        "ndcg@10": {name: _rounded(interval(found, seed=seed)) for name, found in arrays.items()},
        "gain": {
            over: _rounded(interval(served - arrays[over], seed=seed))
            for over in ("embedder", "shared")
        },
        "words_ms_p50": round(float(np.median(words_ms)), 3),
    }


def large(catalogue: CatalogueSnapshot) -> dict[str, float]:
    """Return seconds and milliseconds over so many items, the demo's books again and again."""
    texts = [words_about(entry.item) for entry in catalogue.entries.values()]
    said = [texts[row % len(texts)] for row in range(LARGE)]
    started = time.perf_counter()
    lexicon = Lexicon().after(((row, "", text) for row, text in enumerate(said)), n_rows=LARGE)
    built = time.perf_counter()
    lexicon = lexicon.after([(7, said[7], "")], n_rows=LARGE)
    removed = time.perf_counter()
    lexicon.scores("the mad captain chasing a great whale")
    asked = time.perf_counter()
    return {
        "items": LARGE,
        "built_s": round(built - started, 2),
        "removal_ms": round(1000 * (removed - built), 2),
        "query_ms": round(1000 * (asked - removed), 2),
    }


def _rounded(found: tuple[float, float, float]) -> list[float]:
    return [round(one, 4) for one in found]


def subjects_of(item: Item) -> list[str]:
    """Return a book's tags, the one of its kind first."""
    found = item.attributes["subjects"]
    return list(found) if isinstance(found, list | tuple) else []


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=2026)
    seed: int = parser.parse_args().seed
    catalogue = demo_catalogue()
    path = write_result(
        "words",
        {
            "seed": seed,
            "items": len(catalogue.rows),
            "large": large(catalogue),
            "known": measure(known_queries(), catalogue, seed=seed),
            "taste": measure(taste_queries(catalogue), catalogue, seed=seed),
        },
    )
    print(path)


if __name__ == "__main__":
    main()
