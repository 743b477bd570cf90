"""Texts to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Embedder(Protocol):
    """A frozen text embedding model. Vectors of two embedders are never mixed."""

    @property
    def embedder_id(self) -> str:
        """Return a stable name of the model and its version, such as ``static-minilm-256``."""

    @property
    def dim(self) -> int:
        """Return the number of dimensions of every vector."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row per text, shape (n, dim), float32, L2 norm 1.

        An empty text gives a fixed unit vector, never NaN. The same text gives the same
        row whatever its neighbours in the batch.

        Raises:
            DependencyUnavailableError: the model does not answer.
        """
