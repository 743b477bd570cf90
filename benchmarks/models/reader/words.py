"""Words, and how near they are to each other, from the bundled static embedder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from benchmarks.models.reader.vocabulary import EMBEDDER

Floats = NDArray[np.float32]

MIN_LENGTH: Final = 4
MIN_NORM: Final = 110.0
"""Of a word piece's vector; those below are function words, which every text has."""


@dataclass(frozen=True, slots=True)
class Words:
    """The embedder's table, and the whole words in it.

    Args:
        table: vectors of all word pieces, shape (n, 256).
        words: content words of at least four letters.
        vectors: theirs, unit norm, shape (len(words), 256).
        tokenizer: of the embedder.
    """

    table: Floats
    words: tuple[str, ...]
    vectors: Floats
    tokenizer: Tokenizer

    @classmethod
    def load(cls) -> Self:
        """Read the embedder's files."""
        table = load_file(EMBEDDER / "model.safetensors")["embeddings"].astype(np.float32)
        data = json.loads((EMBEDDER / "tokenizer.json").read_text(encoding="utf-8"))
        norms = np.linalg.norm(table, axis=1)
        chosen = {
            piece: row
            for piece, row in data["model"]["vocab"].items()
            if len(piece) >= MIN_LENGTH
            and piece.isascii()
            and piece.isalpha()
            and norms[row] >= MIN_NORM
        }
        rows = np.array(list(chosen.values()))
        tokenizer = Tokenizer.from_file(str(EMBEDDER / "tokenizer.json"))
        return cls(table, tuple(chosen), table[rows] / norms[rows, None], tokenizer)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return unit vectors, shape (len(texts), 256), as the service's embedder makes them."""
        out = np.zeros((len(texts), self.table.shape[1]), dtype=np.float32)
        for row, text in enumerate(texts):
            ids = [one for one in self.tokenizer.encode(text).ids if one > 1]
            if ids:
                out[row] = self.table[ids].mean(axis=0)
        norms = np.linalg.norm(out, axis=1, keepdims=True)
        return np.asarray(out / np.maximum(norms, 1e-6), dtype=np.float32)

    def near(self, vector: Floats, *, count: int) -> list[str]:
        """Return the words nearest to a unit vector, nearest first."""
        similarity = self.vectors @ vector
        best = np.argpartition(-similarity, count)[:count]
        return [self.words[index] for index in best[np.argsort(-similarity[best])]]
