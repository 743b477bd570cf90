"""What a filter adds to a list: candidates of all sources with and without ``where``.

``python -m benchmarks.where.lists`` writes ``benchmarks/results/where_lists.json`` and
``docs/images/where_lists.png``. A made catalogue of 1,000, 10,000 and 100,000 items and a thousand
people; no store is asked, so the figures are those of rules, masks and sources alone. The list
without a filter and those with one are made in turns; ``adds_p50`` is the median of the
differences. Milliseconds of processor time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from app.adapters.neighbours import ExactNeighbours
from app.domain.models import ItemId, Pseudonym
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.catalogue.vectors import ItemVectors
from app.services.recommendation.candidates import CandidateConfig, Candidates, Wish
from app.services.recommendation.query import RecommendQuery
from app.services.recommendation.rules import rules_of
from benchmarks.data import SEED
from benchmarks.harness import write_result
from benchmarks.where.picture import draw_lists
from benchmarks.where.run import NOW, catalogue, filter_of
from tests.fakes_memory import FakeCatalogueIndex

SIZES: Final = (1_000, 10_000, 100_000)
_REPEATS: Final = 200
_DIM: Final = 64


def _times(ways: Mapping[str, Callable[[], object]]) -> dict[str, dict[str, float]]:
    """Return what each way takes, and what it adds to the first; all of them in turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for work in ways.values():
        work()
    for _ in range(_REPEATS):
        for name, work in ways.items():
            begun = time.process_time()
            work()
            taken[name].append(1_000 * (time.process_time() - begun))
    plain = np.array(taken[next(iter(ways))])
    return {
        name: {
            "p50": round(float(np.median(times)), 3),
            "p99": round(float(np.percentile(times, 99)), 3),
            "adds_p50": round(float(np.median(np.array(times) - plain)), 3),
        }
        for name, times in taken.items()
    }


def _neighbours(ids: Sequence[ItemId]) -> ExactNeighbours:
    rng = np.random.default_rng(SEED)
    neighbours = ExactNeighbours(dense_limit=2_000, head_limit=1_000)
    neighbours.build(
        (
            Pseudonym(f"{user:064x}"),
            [ids[at] for at in dict.fromkeys(rng.integers(0, len(ids), 100).tolist())],
        )
        for user in range(1_000)
    )
    return neighbours


def size_row(size: int) -> dict[str, object]:
    """Measure one size."""
    entries = catalogue(size)
    index = FakeCatalogueIndex()
    rng = np.random.default_rng(SEED)
    vectors = rng.normal(size=(size, _DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index.upsert([one.item for one in entries], vectors)
    empty = CatalogueSnapshot(0, ItemVectors(index))
    snapshot = empty.after(entries, removed=(), version=1).in_order()
    candidates = Candidates(neighbours=_neighbours(snapshot.ids), config=CandidateConfig())
    liked = [snapshot.ids[int(at)] for at in rng.integers(0, size, 20)]
    wish = Wish(liked) if size > snapshot.max_exact else Wish(liked, profile=vectors[0])

    def gather(where: object) -> int:
        query = RecommendQuery(where=where)
        rules = rules_of(query, scenarios={}, catalogue=snapshot, touched={}, served=(), now=NOW)
        return len(candidates.gather(wish, rules, top_n=50))

    filters: dict[str, object] = {"without": None}
    filters |= {f"with_{count}": filter_of(count) for count in (1, 3, 10)}
    times = _times({name: partial(gather, where) for name, where in filters.items()})
    found = {name: {"found": gather(where)} for name, where in filters.items()}
    return {"items": size, **{name: found[name] | times[name] for name in filters}}


def main() -> None:
    """Measure all sizes and write the result."""
    rows = [size_row(size) for size in SIZES]
    path = write_result("where_lists", {"seed": SEED, "repeats": _REPEATS, "sizes": rows})
    draw_lists(path)
    print(path.read_text("utf-8"))


if __name__ == "__main__":
    main()
