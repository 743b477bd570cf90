"""mem0 over Chroma in its own environment: ``mem0_user.py fill|delete DIR PLANTATION``.

The language model is never asked (``infer=False``) and the embedder looks the planted vector of
a text up; store, history and deletion are mem0's own.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def open_memory(directory: str, rows: Any) -> Any:  # noqa: ANN401 - untyped library
    """Return mem0 with all its files below ``directory``."""
    os.environ |= {"MEM0_TELEMETRY": "False", "MEM0_DIR": f"{directory}/home"}
    mem0: Any = importlib.import_module("mem0")  # reads the environment when imported

    unused = {"provider": "openai", "config": {"api_key": "never used"}}
    store = {"collection_name": "records", "path": f"{directory}/chroma"}
    memory = mem0.Memory.from_config(
        {
            "vector_store": {"provider": "chroma", "config": store},
            "history_db_path": f"{directory}/history.db",
            "llm": unused,
            "embedder": unused,
        }
    )
    memory.embedding_model = Planted(rows)
    return memory


class Planted:
    """mem0's embedder interface over the planted vectors."""

    def __init__(self, rows: Any) -> None:  # noqa: ANN401 - mem0 is not typed
        """Index the vectors by text."""
        self._by_text: dict[str, list[float]] = dict(
            zip(rows["texts"].tolist(), rows["vectors"].tolist(), strict=True)
        )

    def embed(self, text: str, *_: Any, **__: Any) -> list[float]:  # noqa: ANN401 - mem0 is not typed
        """Return the vector of a planted text."""
        return self._by_text[text]

    def embed_batch(self, texts: list[str], *_: Any, **__: Any) -> list[list[float]]:  # noqa: ANN401 - mem0 is not typed
        """Return the vectors of planted texts."""
        return [self._by_text[text] for text in texts]


def fill(memory: Any, rows: Any) -> list[str]:  # noqa: ANN401 - mem0 is not typed
    """Write all records; return the ids mem0 gave them."""
    ids = []
    for user, text in zip(rows["users"].tolist(), rows["texts"].tolist(), strict=True):
        ids += [found["id"] for found in memory.add(text, user_id=user, infer=False)["results"]]
    return ids


def delete(memory: Any, users: list[str]) -> float:  # noqa: ANN401 - mem0 is not typed
    """Delete the users; return seconds."""
    started = time.perf_counter()
    for user in users:
        memory.delete_all(user_id=user)
    return time.perf_counter() - started


if __name__ == "__main__":
    action, folder, file = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    plantation = np.load(file)
    opened = open_memory(folder, plantation)
    if action == "fill":
        print(json.dumps(fill(opened, plantation)))
    else:
        print(json.dumps(delete(opened, plantation["leaving"].tolist())))
