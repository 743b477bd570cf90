"""The service with a bare route beside its own, and where asked a million users in memory.

``uvicorn --factory benchmarks.serving.app:create``. The bare route answers a list of the usual
shape from a constant, through the same middleware: what the server and its framework cost.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from fastapi import FastAPI

from app.adapters.neighbours import ExactNeighbours
from app.domain.models import ItemId, Pseudonym
from app.main import create as create_service
from benchmarks.neighbours.scaling import synthetic

SYNTHETIC: Final = "BENCHMARK_SYNTHETIC_USERS"
"""Environment variable: how many synthetic users join those of the database, in memory only."""
Histories = Iterable[tuple[Pseudonym, Sequence[ItemId]]]
_ANSWER: Final[dict[str, object]] = {
    "user": "somebody",
    "items": [
        {
            "item_id": str(n),
            "title": f"Some title of usual length ({1990 + n})",
            "score": 1 - n / 10,
        }
        for n in range(10)
    ],
}


def create() -> FastAPI:
    """Return the application with ``GET /bare``."""
    if users := int(os.environ.get(SYNTHETIC, "0")):
        _crowd(users)
    app = create_service()

    @app.get("/bare")
    async def bare() -> dict[str, object]:
        """Answer a constant."""
        return _ANSWER

    @app.get("/bare/{item_id}")
    def row(item_id: str) -> list[str]:
        """Answer one row of the database."""
        found = app.state.lethe.container.catalogue.get([ItemId(item_id)])
        return [one.title for one in found]

    return app


def _crowd(users: int) -> None:
    """Let every build of neighbours take in so many users who are in no database."""
    build = ExactNeighbours.build

    def crowded(self: ExactNeighbours, histories: Histories) -> None:
        build(self, chain(histories, synthetic(users)))

    ExactNeighbours.build = crowded  # type: ignore[method-assign]  # this process is a benchmark
