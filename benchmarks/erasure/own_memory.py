"""One user's memories by ids and a dot product, as the service reads them, beside ``query(where)``.

Two stores with the same vectors (books of the demo set with noise, those of the users asked for
without): the service's, in 16 shards under a transform a record, and plain in one collection. In
both the records are fetched by ids and compared with a question (SQL gives the ids, which is not
timed, and keys are in memory); in the plain one Chroma is also asked to search among the user's
records. The true order is that of float64 dot products of the vectors as the service rounds them.

``python -m benchmarks.erasure.own_memory [--sizes 10000 100000]`` writes
``results/own_memory.json`` and ``docs/images/own_memory.png``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.heap import require_overwritten_heap
from app.adapters.chroma.layout import CollectionSpec
from app.adapters.chroma.memory import ChromaMemoryStore
from app.adapters.vault.encrypted_memory_store import EncryptedMemoryStore
from app.domain.models import Pseudonym, RecordId
from app.domain.privacy.rotation import quantise
from app.ports.memory_store import Memory, MemoryStore
from benchmarks.erasure.certificates import spread
from benchmarks.harness import write_result
from benchmarks.vault.inversion import catalogue_vectors
from tests.fakes_vault import FakeKeyVault

mpl.use("Agg")
from matplotlib import pyplot as plt

SEED: Final = 8
PER_USER: Final = 20
N_ASKED: Final = 200
NOISE: Final = 0.5
N_SHARDS: Final = 16
_BATCH: Final = 2_000
PICTURE: Final = Path(__file__).parents[2] / "docs/images/own_memory.png"
Floats = NDArray[np.float32]
Answer = Callable[[int, Floats], list[str]]


class World:
    """Records of users, PER_USER each; the first N_ASKED users' are books without noise."""

    def __init__(self, n_records: int, *, seed: int) -> None:
        rng = np.random.default_rng(seed)
        books = catalogue_vectors().astype(np.float32)
        rows = np.concatenate(
            [rng.permutation(len(books))[:PER_USER] for _ in range(n_records // PER_USER)]
        )
        noise = rng.standard_normal((len(rows), books.shape[1]), dtype=np.float32)
        noise *= NOISE / np.sqrt(books.shape[1])
        noise[: PER_USER * N_ASKED] = 0
        vectors = books[rows] + noise
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        self.vectors: Floats = quantise(vectors)
        self.ids = [RecordId(rng.bytes(16).hex()) for _ in rows]
        self.users = [Pseudonym(rng.bytes(32).hex()) for _ in range(n_records // PER_USER)]
        self.questions: Floats = books[rng.integers(0, len(books), N_ASKED)]

    def ids_of(self, user: int) -> list[RecordId]:
        """Return a user's record ids."""
        return self.ids[PER_USER * user : PER_USER * (user + 1)]

    def fill(self, store: MemoryStore) -> float:
        """Write everything; return seconds."""
        started = time.perf_counter()
        for start in range(0, len(self.ids), _BATCH):
            rows = range(start, min(start + _BATCH, len(self.ids)))
            store.add(
                [
                    Memory(self.ids[n], self.users[n // PER_USER], f"memory {n}", self.vectors[n])
                    for n in rows
                ]
            )
        return round(time.perf_counter() - started, 1)

    def true_order(self, user: int) -> list[str]:
        """Return a user's record ids by the dot product, the best first."""
        ids = self.ids_of(user)
        mine = self.vectors[PER_USER * user : PER_USER * (user + 1)].astype(np.float64)
        return _sorted(ids, mine @ self.questions[user].astype(np.float64))


def _sorted(ids: Sequence[str], scores: NDArray[np.floating[Any]]) -> list[str]:
    order = np.argsort(-scores, kind="stable")
    return [ids[place] for place in order]


def by_ids(world: World, store: MemoryStore) -> Answer:
    """Return what asks as the service does."""

    def answer(user: int, question: Floats) -> list[str]:
        found = store.vectors(world.users[user], world.ids_of(user))
        return _sorted(list(found), np.stack(list(found.values())) @ question)

    return answer


def by_query(world: World, database: ChromaDatabase) -> Answer:
    """Return what asks Chroma to search among a user's records."""
    (collection,) = database.collections()

    def answer(user: int, question: Floats) -> list[str]:
        found = collection.query(
            query_embeddings=question[np.newaxis, :],
            n_results=PER_USER,
            where={"p": world.users[user]},
            include=["distances"],
        )
        return list(found["ids"][0])

    return answer


def ask(world: World, answer: Answer) -> dict[str, object]:
    """Ask for every user; return seconds, and how far the order is the true one."""
    answer(0, world.questions[0])
    waits: list[float] = []
    same, places, missing = 0, 0, 0
    for user in range(N_ASKED):
        started = time.perf_counter()
        found = answer(user, world.questions[user])
        waits.append(time.perf_counter() - started)
        truth = world.true_order(user)
        same += found == truth
        missing += len(set(truth) - set(found))
        places += sum(one != other for one, other in zip(found, truth, strict=False))
    return {
        "seconds": spread(waits),
        "same_order": same,
        "of": N_ASKED,
        "places_that_differ": places,
        "records_missing": missing,
        "of_places": N_ASKED * PER_USER,
    }


def measure(n_records: int, folder: Path) -> dict[str, Any]:
    """Fill both stores, and ask each way."""
    world = World(n_records, seed=SEED)
    dim, vault = world.vectors.shape[1], FakeKeyVault()
    vault.ensure(world.users)
    found: dict[str, Any] = {"records": n_records, "fill_s": {}}
    with ExitStack() as stack:
        rotated, plain = (
            stack.enter_context(ChromaDatabase.embedded(folder / name))
            for name in ("ours", "stock")
        )
        inner = ChromaMemoryStore(rotated, spec=CollectionSpec("bench", dim, n_shards=N_SHARDS))
        ours = EncryptedMemoryStore(inner, vault=vault)
        stock = ChromaMemoryStore(plain, spec=CollectionSpec("bench", dim, n_shards=1))
        found["fill_s"] = {"rotated": world.fill(ours), "plain": world.fill(stock)}
        ways = {
            "by ids, rotated": by_ids(world, ours),
            "by ids, plain": by_ids(world, stock),
            "query(where=…), plain": by_query(world, plain),
        }
        found["ways"] = {name: ask(world, way) for name, way in ways.items()}
    return {**found, "load_average": [round(load, ndigits=1) for load in os.getloadavg()]}


def draw(rows: Sequence[dict[str, Any]]) -> None:
    """Draw p50, and p99 as the end of a bar, of each way by size."""
    figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
    for number, way in enumerate(rows[0]["ways"]):
        spreads = [row["ways"][way]["seconds"] for row in rows]
        places = [place + 0.25 * (number - 1) for place in range(len(rows))]
        p50 = [1_000 * one["p50"] for one in spreads]
        above = [1_000 * (one["p99"] - one["p50"]) for one in spreads]
        axes.bar(places, p50, width=0.25, yerr=([0] * len(rows), above), capsize=3, label=way)
    axes.set_xticks(range(len(rows)), [f"{row['records']:,}" for row in rows])
    axes.set(xlabel="records", ylabel="ms, p50 and p99", yscale="log")
    axes.grid(visible=True, axis="y", alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(PICTURE, dpi=130)
    plt.close(figure)


def main() -> None:
    """Measure each size; write after each; draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    options = parser.parse_args()
    rows = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="lethe-own-memory-") as name:
            rows.append(measure(size, Path(name)))
        print(rows[-1], flush=True)
        write_result("own_memory", {"seed": SEED, "per_user": PER_USER, "rows": rows})
    draw(rows)


if __name__ == "__main__":
    require_overwritten_heap()
    main()
