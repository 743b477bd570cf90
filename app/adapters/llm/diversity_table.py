"""The table of the knapsack of the strategy ``diversity``: made offline, read at the start.

``benchmarks/models/diversity_table.py`` makes it from a public data set. It must never be made
from the service's own users: what they are worth to a cluster would outlive their erasure.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.domain.errors import IntegrityError
from app.domain.recommendation.clusters import SharedOut, best_shares


class DiversityTable(BaseModel):
    """The file.

    Args:
        embedder_id: whose vectors the centres are among.
        source: what it was made from, for people.
        centres: of the clusters, unit norm.
        worth: for each cluster, the hit rate that 5 %, 10 %, ... of the history earn in it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    embedder_id: str
    source: str
    centres: list[list[float]] = Field(min_length=2)
    worth: list[list[float]] = Field(min_length=2)


def load_diversity_table(path: Path, *, embedder_id: str, dim: int) -> SharedOut:
    """Return the clusters of the file and their shares.

    Raises:
        IntegrityError: no such file, another shape, or made with another embedder.
    """
    try:
        table = DiversityTable.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, ValidationError) as error:
        message = f"{path} is no diversity table"
        raise IntegrityError(message) from error
    lengths = {len(row) for row in table.worth}
    is_whole = (
        table.embedder_id == embedder_id
        and {len(row) for row in table.centres} == {dim}
        and len(table.worth) == len(table.centres)
        and len(lengths) == 1
        and len(table.centres) <= 2 * min(lengths) <= len(table.centres) * min(lengths)
    )
    if not is_whole:
        message = f"{path} is not a diversity table for the embedder {embedder_id}"
        raise IntegrityError(message)
    centres = np.asarray(table.centres, dtype=np.float32)
    return SharedOut(centres, best_shares(table.worth))
