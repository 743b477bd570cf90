"""Vectors from a server with OpenAI's embeddings route."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import numpy as np

from app.adapters.embedders.texts import Vectors, batches, blank_rows, readable
from app.domain.errors import DependencyUnavailableError


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
        return self._dim

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Send the texts that are not blank.

        Raises:
            DependencyUnavailableError: no answer in time, an error status, or an answer that is
                not one finite, non-zero vector of `dim` numbers per text.
        """
        vectors = blank_rows(len(texts), dim=self._dim)
        cut = [text[: self._max_text_chars] for text in readable(texts)]
        rows = [row for row, text in enumerate(cut) if text.strip()]
        for start, batch in batches([cut[row] for row in rows], size=self._batch_size):
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
