"""An embedder without a model: texts that share rare words are near each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w{4,}")


class HashingEmbedder:
    """Counts words by hash (feature hashing, Weinberger et al. 2009); short ones say little."""

    embedder_id = "hashing-1024-v1"  # another name for another way: vectors are never mixed
    dim = 1024

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in _WORD.findall(text.lower()):
                digest = crc32(word.encode(errors="surrogatepass"))
                row[1 + digest % (self.dim - 1)] += 1 if digest >> 31 else -1
            if not row.any():
                row[0] = 1  # a text without a word: a fixed vector that is near nothing
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows
