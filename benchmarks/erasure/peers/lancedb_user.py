"""LanceDB in its own environment: ``lancedb_user.py fill|delete|optimize DIR PLANTATION``."""

import importlib
import json
import sys
import time
from datetime import timedelta
from typing import Any

import numpy as np

# Only the environment that runs this script has it.
lancedb: Any = importlib.import_module("lancedb")


def fill(directory: str, rows: Any) -> list[str]:  # noqa: ANN401 - an open npz file
    """Write all records; return their ids."""
    ids: list[str] = rows["ids"].tolist()
    columns = zip(ids, rows["users"].tolist(), rows["texts"].tolist(), rows["vectors"], strict=True)
    records = [{"id": i, "user": u, "text": t, "vector": v} for i, u, t, v in columns]
    lancedb.connect(directory).create_table("records", data=records)
    return ids


def erase(directory: str, users: list[str], *, optimizes: bool) -> float:
    """Delete the users; return seconds."""
    table = lancedb.connect(directory).open_table("records")
    started = time.perf_counter()
    for user in users:
        table.delete(f"user = '{user}'")
    if optimizes:
        table.optimize(cleanup_older_than=timedelta(0))
    return time.perf_counter() - started


if __name__ == "__main__":
    action, directory, file = sys.argv[1:]
    plantation = np.load(file)
    if action == "fill":
        print(json.dumps(fill(directory, plantation)))
    else:
        leaving = plantation["leaving"].tolist()
        print(json.dumps(erase(directory, leaving, optimizes=action == "optimize")))
