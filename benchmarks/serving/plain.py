"""What one would build instead: FastAPI and two collections of Chroma, as in any tutorial.

A list is the films nearest to the mean of the user's memories, less those that the user has; a
forget is ``collection.delete``. No language model, as none ranks beside it. ``python -m
benchmarks.serving.plain --ml-100k FOLDER`` serves it and the service's own ``FOLDER`` beside it,
asks one after the other, and writes ``benchmarks/results/serving_plain.json``. What a delete
leaves on disk is measured by ``benchmarks.erasure``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any, Final

import chromadb
import numpy as np
from chromadb.config import Settings
from fastapi import FastAPI

from app.adapters.embedders.static import StaticEmbedder
from app.domain.models import Item, ItemId
from app.domain.recommendation.memory import describe_item
from benchmarks.data import SEED, Dataset, load
from benchmarks.harness import write_result
from benchmarks.quality.served_world import genres_of
from benchmarks.serving.fill import N_ASKERS
from benchmarks.serving.run import Bench
from benchmarks.serving.server import served

_BATCH: Final = 5_000
_CONNECTIONS: Final = (1, 4)


def _collections(folder: Path) -> tuple[Any, Any]:
    client = chromadb.PersistentClient(str(folder), Settings(anonymized_telemetry=False))
    cosine = {"hnsw:space": "cosine"}
    return (
        client.get_or_create_collection("memories", metadata=cosine),
        client.get_or_create_collection("films", metadata=cosine),
    )


def fill(folder: Path, dataset: Dataset) -> None:
    """Write a memory for each rating and a vector for each film."""
    memories, films = _collections(folder)
    titles, traits = dataset.titles or [], dataset.traits
    if traits is None:
        message = "the data have no genres"
        raise ValueError(message)
    texts = [
        describe_item(Item(ItemId(film), title, attributes={"genres": genres_of(traits[at])}))
        for at, (film, title) in enumerate(zip(dataset.item_ids, titles, strict=True))
    ]
    vectors = StaticEmbedder().embed(texts)
    films.add(ids=dataset.item_ids, embeddings=vectors, documents=titles)
    pairs = [(user, item) for user, row in enumerate(dataset.histories) for item in row.tolist()]
    for start in range(0, len(pairs), _BATCH):
        part = pairs[start : start + _BATCH]
        memories.add(
            ids=[f"{user + 1}/{item}" for user, item in part],
            embeddings=vectors[[item for _, item in part]],
            documents=[titles[item] for _, item in part],
            metadatas=[{"user": str(u + 1), "item": dataset.item_ids[i]} for u, i in part],
        )


def create() -> FastAPI:
    """Return the application over the folder that the service would have."""
    memories, films = _collections(Path(os.environ["LETHE_DATA_DIR"]))
    app = FastAPI()

    @app.get("/readyz")
    def ready() -> bool:
        return bool(films.count())

    @app.get("/recommend/{user}")
    def recommend(user: str, n: int = 10) -> dict[str, object]:
        own = memories.get(where={"user": user}, include=["embeddings", "metadatas"])
        seen = {one["item"] for one in own["metadatas"]}
        mean = np.asarray(own["embeddings"]).mean(axis=0)
        found = films.query([mean], n_results=n + len(seen), include=["documents"])
        pairs = zip(found["ids"][0], found["documents"][0], strict=True)
        listed = [{"item_id": one, "title": title} for one, title in pairs if one not in seen]
        return {"user": user, "items": listed[:n]}

    @app.post("/forget", status_code=202)
    def forget(body: dict[str, Any]) -> None:
        memories.delete(where={"user": body["user"]})

    return app


def main() -> None:
    """Serve both, ask both in turns, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ml-100k", type=Path, required=True)
    options = parser.parse_args()
    users = [str(user) for user in random.Random(SEED).sample(range(1, 944), N_ASKERS)]  # noqa: S311 - a sample, not a secret
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), load("ml-100k"))
        plain = served(Path(folder), factory="benchmarks.serving.plain:create")
        with plain as theirs, served(options.ml_100k) as ours:
            report: dict[str, object] = {}
            for name, server, routes in (
                ("plain", theirs, ("recommend",)),
                ("lethe", ours, ("recommend", "gathered")),
            ):
                bench = Bench(server, users, item="50", routes=routes)
                bench.warm()
                report[name] = {
                    "latency_ms": bench.latency_ms(),
                    "throughput": bench.throughput(_CONNECTIONS),
                    "forget_202_ms": bench.forget_ms(),
                }
                print(name, json.dumps(report[name]), flush=True)
    document = {"seed": SEED, "data": "ml-100k", "askers": N_ASKERS, **report}
    print(write_result("serving_plain", document))


if __name__ == "__main__":
    main()
