"""What one would build instead: FastAPI and two collections of Chroma, as in any tutorial.

A list is the films nearest to the mean of the user's memories, less those that the user has; a
forget is ``collection.delete``. It is served twice: as it is, and with a vLLM that rates the films
of each list as JSON, which a real small model does here on the same cores. ``python -m
benchmarks.serving.plain --ml-100k FOLDER`` serves both and the service's own ``FOLDER`` beside
them, asks one after the other, and writes ``benchmarks/results/serving_plain.json``. What a delete
leaves on disk is measured by ``benchmarks.erasure``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import chromadb
import httpx
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
from benchmarks.serving.run import Bench, spread
from benchmarks.serving.server import Server, served
from tests.servers.vllm import REAL, vllm_server

_BATCH: Final = 5_000
_CONNECTIONS: Final = (1, 4)
_LLM: Final = "PLAIN_LLM_URL"
_MODEL: Final = "PLAIN_LLM_MODEL"
_FACTORY: Final = "benchmarks.serving.plain:create"
_N_SHOWN: Final = 20
_N_RANKED: Final = 20
_RATINGS: Final = (1, 2, 3, 4, 5)


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


def rated(listed: list[dict[str, str]], *, liked: list[str]) -> list[dict[str, str]]:
    """Have the language model rate films as JSON, if there is one; return the best first."""
    url = os.environ.get(_LLM)
    if not url or not listed:
        return listed
    ids = [film["item_id"] for film in listed]
    shown = "\n".join(f"{film['item_id']}: {film['title']}" for film in listed)
    told = f"I liked:\n{chr(10).join(liked)}\n\nRate from 1 to 5, as JSON by number:\n{shown}"
    schema = {
        "type": "object",
        "properties": {one: {"enum": _RATINGS} for one in ids},
        "required": ids,
        "additionalProperties": False,
    }
    body = {
        "model": os.environ[_MODEL],
        "messages": [{"role": "user", "content": told}],
        "temperature": 0,
        "max_tokens": 20 * len(ids),
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "ratings", "schema": schema},
        },
    }
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=300.0).raise_for_status()
    ratings = json.loads(answer.json()["choices"][0]["message"]["content"])
    return sorted(listed, key=lambda film: -ratings[film["item_id"]])


def create() -> FastAPI:
    """Return the application over the folder that the service would have."""
    memories, films = _collections(Path(os.environ["LETHE_DATA_DIR"]))
    app = FastAPI()

    @app.get("/readyz")
    def ready() -> bool:
        return bool(films.count())

    @app.get("/recommend/{user}")
    def recommend(user: str, n: int = 10) -> dict[str, object]:
        own = memories.get(where={"user": user}, include=["embeddings", "metadatas", "documents"])
        seen = {one["item"] for one in own["metadatas"]}
        mean = np.asarray(own["embeddings"]).mean(axis=0)
        found = films.query([mean], n_results=n + len(seen), include=["documents"])
        pairs = zip(found["ids"][0], found["documents"][0], strict=True)
        listed = [{"item_id": one, "title": title} for one, title in pairs if one not in seen]
        return {"user": user, "items": rated(listed[:n], liked=own["documents"][-_N_SHOWN:])}

    @app.post("/forget", status_code=202)
    def forget(body: dict[str, Any]) -> None:
        memories.delete(where={"user": body["user"]})

    return app


def measured(server: Server, users: list[str], *routes: str) -> dict[str, object]:
    """Return what one client waits, answers a second, and what the answer to a forget takes."""
    bench = Bench(server, users, item="50", routes=routes)
    bench.warm()
    return {
        "latency_ms": bench.latency_ms(),
        "throughput": bench.throughput(_CONNECTIONS),
        "forget_202_ms": bench.forget_ms(),
    }


def ranked(folder: Path, users: list[str]) -> dict[str, object]:
    """Return what lists take that the model rates: some, for each takes seconds."""
    with tempfile.TemporaryDirectory() as place, vllm_server(Path(place), model=REAL) as model:
        settings = {_LLM: model.base_url, _MODEL: model.model}
        with served(folder, settings=settings, factory=_FACTORY) as server:
            bench = Bench(server, users, item="50", routes=("recommend",))
            bench.ask("recommend", 2, n_clients=1)
            found: dict[str, object] = {}
            for n_clients in _CONNECTIONS:
                begun = time.perf_counter()
                waits = bench.ask("recommend", _N_RANKED, n_clients=n_clients)
                rate = round(_N_RANKED / (time.perf_counter() - begun), ndigits=2)
                found[str(n_clients)] = {"latency_ms": spread(waits), "recommend_per_s": rate}
    return found


def main() -> None:
    """Serve all, ask one after the other, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ml-100k", type=Path, required=True)
    options = parser.parse_args()
    users = [str(user) for user in random.Random(SEED).sample(range(1, 944), N_ASKERS)]  # noqa: S311 - a sample, not a secret
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), load("ml-100k"))
        report: dict[str, object] = {"plain_rated_by_llm": ranked(Path(folder), users)}
        print(json.dumps(report), flush=True)
        plain = served(Path(folder), factory=_FACTORY)
        with plain as theirs, served(options.ml_100k) as ours:
            report["plain"] = measured(theirs, users, "recommend")
            report["lethe"] = measured(ours, users, "recommend", "gathered")
    document = {"seed": SEED, "data": "ml-100k", "askers": N_ASKERS, **report}
    print(write_result("serving_plain", document))


if __name__ == "__main__":
    main()
