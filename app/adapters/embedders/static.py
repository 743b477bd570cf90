"""A static model that ships with Lethe: no torch, no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Final

from model2vec import StaticModel

from app.adapters.embedders.texts import (
    ID_DIGITS,
    Vectors,
    batches,
    blank_rows,
    readable,
    sha256_of,
)
from app.domain.errors import IntegrityError

PACKAGED_MODEL: Final = (
    Path(__file__).resolve().parents[2] / "data" / "embedder" / "static-minilm-256"
)
_STATIC_FILES: Final = frozenset({"config.json", "model.safetensors", "tokenizer.json"})
_STATIC_BATCH: Final = 32  # a millisecond under the lock: a re-index must not hold up a request


class StaticEmbedder:
    """A Model2Vec model read from a directory: the normalised mean of its word pieces' vectors.

    Needs no torch and no network. The mean is over integers, hence exact: a text gives the same
    bits in any batch. Reads at most 512 word pieces of a text. Safe to share between threads.

    Args:
        model_dir: has `model.safetensors`, `tokenizer.json`, `config.json` and their `SHA256SUMS`.

    Raises:
        IntegrityError: a file is missing or is not the one that `SHA256SUMS` names.
    """

    def __init__(self, model_dir: Path = PACKAGED_MODEL) -> None:
        sums_digest = _verified_sums(model_dir)
        self._model = StaticModel.from_pretrained(model_dir)
        self._embedder_id = f"{model_dir.name}@{sums_digest[:ID_DIGITS]}"
        # encode() sets the tokenizer's truncation each time, which raises "Already borrowed" in
        # tokenizers 0.22 while another thread is encoding.
        self._lock = Lock()

    @property
    def embedder_id(self) -> str:
        """Directory name and digest of the model's digests; a remade model is another one."""
        return self._embedder_id

    @property
    def dim(self) -> int:
        return int(self._model.dim)

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = blank_rows(len(texts), dim=self.dim)
        for start, batch in batches(readable(texts), size=_STATIC_BATCH):
            with self._lock:
                rows = self._model.encode(batch, use_multiprocessing=False)
            known = rows.any(axis=1)
            vectors[start : start + len(batch)][known] = rows[known]
        return vectors


def _verified_sums(model_dir: Path) -> str:
    """Check every file of the model against `SHA256SUMS`; return the digest of that file."""
    sums_file = model_dir / "SHA256SUMS"
    try:
        lines = sums_file.read_text(encoding="ascii").splitlines()
        expected = {name: digest for digest, name in (line.split() for line in lines)}
        actual = {name: sha256_of(model_dir / name) for name in _STATIC_FILES}
    except (OSError, ValueError) as exc:
        raise IntegrityError("The embedder's files are missing or unreadable.") from exc
    if expected != actual:
        raise IntegrityError("The embedder's files differ from their SHA256SUMS.")
    return sha256_of(sums_file)
