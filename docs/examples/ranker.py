"""A ranker that asks a reranking server: ``POST /rerank``, as vLLM, Jina and Cohere answer it."""

from __future__ import annotations

from typing import Final

import httpx
import numpy as np

from app.domain.errors import DependencyUnavailableError, RankerError
from app.domain.recommendation.prompt import ShownMemory
from app.ports.ranker import LlmRanking, RankerHealth, RankingForm, RankingTask

_WARM_UP_S: Final = 60.0


class RerankServer:
    """Ranks by a cross-encoder's scores of "what the user liked" and each candidate.

    Args:
        url: such as ``http://127.0.0.1:8001``. The server must not cache across requests:
            ``task.cache_salt`` keeps users apart only where a server heeds it.
        model: as the server calls it.
    """

    def __init__(self, url: str, *, model: str) -> None:
        self._http = httpx.Client(base_url=url)
        self._model = model
        self._is_warm = False

    def warm_up(self) -> None:
        """Ask about nobody, once; nobody's list waits for the first answer of a cold server."""
        self._scores("a book", ["a book"], timeout_s=_WARM_UP_S)
        self._is_warm = True

    def rank(self, task: RankingTask) -> LlmRanking:
        if not self._is_warm:
            raise DependencyUnavailableError("the reranker is not warmed up")
        told = task.query or "; ".join(_words(memory) for memory in task.memories) or "anything"
        texts = [f"{item.title}. {item.description}" for item in task.candidates]
        scores, tokens = self._scores(told, texts, timeout_s=task.timeout_s)
        log_probabilities = scores - np.logaddexp.reduce(scores)
        return LlmRanking(
            {i.item_id: float(p) for i, p in zip(task.candidates, log_probabilities, strict=True)},
            form=RankingForm.LIKELIHOOD if task.query else RankingForm.LABEL,
            prompt_id="rerank-1",
            prompt_tokens=tokens,
        )

    def health(self) -> RankerHealth:
        return RankerHealth("ready" if self._is_warm else "cold", ranks_queries=self._is_warm)

    def _scores(
        self, query: str, texts: list[str], *, timeout_s: float
    ) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], int]:
        asked = {"model": self._model, "query": query, "documents": texts}
        try:
            answer = self._http.post("/rerank", json=asked, timeout=timeout_s).raise_for_status()
        except httpx.HTTPError as error:
            raise DependencyUnavailableError("the reranker does not answer") from error
        scores = np.full(len(texts), np.nan)
        try:
            told = answer.json()
            for one in told["results"]:
                scores[one["index"]] = one["relevance_score"]
            tokens = int(told["usage"]["total_tokens"])
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise RankerError("an answer that holds no scores") from error
        if not np.isfinite(scores).all():
            raise RankerError("an answer without a score for each candidate")
        return scores, tokens


def _words(memory: ShownMemory) -> str:
    return memory.text or (memory.item.title if memory.item else "")
