"""Ordering candidates: the LLM's view blended with the fused order, or the fused order alone."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import structlog

from app.domain.errors import DependencyUnavailableError, RankerError
from app.domain.models import Item, ItemId, Pseudonym, Scored
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.fusion import blend, by_position
from app.domain.recommendation.prompt import ShownMemory
from app.domain.tally import Tally
from app.ports.cache import Cache
from app.ports.ranker import Ranker, RankingTask
from app.services.concurrency import ConcurrencyLimiter

_log = structlog.get_logger(__name__)


class RankedBy(StrEnum):
    """What decided the order of an answer."""

    LLM = "llm"
    RETRIEVAL = "retrieval"
    POPULARITY = "popularity"


@dataclass(frozen=True, slots=True)
class RerankerConfig:
    """How the LLM takes part.

    Args:
        weight: share of the LLM's order in the blend, in [0, 1]; at 0 it is not asked.
        timeout_s: most seconds an answer waits for it.
        cache_ttl_s: seconds for which the same evidence need not be ranked again; 0 for never.
    """

    weight: float = 0.3
    timeout_s: float = 5.0
    cache_ttl_s: float = 60.0


@dataclass(frozen=True, slots=True)
class RerankingRequest:
    """What is to be ordered, for whom.

    Args:
        memories: most telling first.
        candidates: best first by the fused order.
        pseudonym: None for a visitor, of whom nothing is kept.
        epoch: the user's, so that nothing ranked before an erasure is found after it.
    """

    pseudonym: Pseudonym | None
    epoch: int
    memories: Sequence[ShownMemory]
    candidates: Sequence[Item]


@dataclass(frozen=True, slots=True)
class OrderedCandidates:
    """Candidates in their final order.

    Args:
        is_degraded: the LLM should have ranked, and could not.
        prompt_id: the wording the LLM was asked in; None where it did not rank.
    """

    items: list[Scored]
    ranked_by: RankedBy
    is_degraded: bool
    prompt_id: str | None = None


@dataclass(frozen=True, slots=True)
class _View:
    """The LLM's view of the candidates, as it is cached."""

    scores: dict[ItemId, float]
    prompt_id: str

    def to_bytes(self) -> bytes:
        return json.dumps([self.prompt_id, self.scores]).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        prompt_id, scores = json.loads(raw)
        return cls({ItemId(one): float(score) for one, score in scores.items()}, prompt_id)


class Reranker:
    """Orders candidates. An LLM that is slow, down or talks nonsense never fails an answer."""

    def __init__(
        self,
        *,
        ranker: Ranker | None,
        cache: Cache,
        answers: Tally,
        identity: Identity,
        limiter: ConcurrencyLimiter,
        config: RerankerConfig,
    ) -> None:
        """Keep the collaborators; without a ``ranker`` the fused order stands.

        ``answers`` counts each ``hit`` and ``miss`` of the cache.
        """
        self._ranker = ranker
        self._cache = cache
        self._identity = identity
        self._limiter = limiter
        self._config = config
        self._answers = answers

    @property
    def has_model(self) -> bool:
        """Whether there is an LLM, however it is at the moment."""
        return self._ranker is not None

    def memory_tokens(self, memories: Sequence[ShownMemory]) -> list[int]:
        """Return about how many tokens each memory takes in a prompt; nothing without an LLM."""
        return [1] * len(memories) if self._ranker is None else self._ranker.memory_tokens(memories)

    def order(self, request: RerankingRequest) -> OrderedCandidates:
        """Return the candidates, best first.

        The LLM is asked only where there is something to choose and something to choose by.
        """
        fused = [item.item_id for item in request.candidates]
        has_choice = len(fused) > 1 and bool(request.memories)
        if self._ranker is None or self._config.weight <= 0 or not has_choice:
            return OrderedCandidates(by_position(fused), RankedBy.RETRIEVAL, is_degraded=False)
        try:
            view = self._view(self._ranker, request)
        except (DependencyUnavailableError, RankerError) as error:
            _log.warning("ranking_degraded", code=error.code)
            return OrderedCandidates(by_position(fused), RankedBy.RETRIEVAL, is_degraded=True)
        blended = blend(fused, view.scores, weight=self._config.weight)
        return OrderedCandidates(blended, RankedBy.LLM, is_degraded=False, prompt_id=view.prompt_id)

    def _view(self, ranker: Ranker, request: RerankingRequest) -> _View:
        key = _evidence_key(request)
        owner = request.pseudonym
        cached = None if owner is None else self._cached(owner, key)
        self._answers.add("miss" if cached is None else "hit")
        if cached is not None:
            return cached
        # A visitor's prompts share nothing with anybody's, their own next one included.
        salted = owner or Pseudonym(secrets.token_hex(32))
        task = RankingTask(
            memories=request.memories,
            candidates=request.candidates,
            cache_salt=self._identity.cache_salt(salted, request.epoch),
            seed=self._identity.seed("shuffle", owner or "", str(request.epoch), key),
            timeout_s=self._config.timeout_s,
        )
        with self._limiter.given_up():
            ranking = ranker.rank(task)
        view = _View(ranking.log_probabilities, ranking.prompt_id)
        if owner is not None:
            self._keep(owner, key, view)
        return view

    def _cached(self, pseudonym: Pseudonym, key: str) -> _View | None:
        if self._config.cache_ttl_s <= 0:
            return None
        try:
            raw = self._cache.get(pseudonym, key)
        except DependencyUnavailableError as error:
            _log.warning("cache_unavailable", code=error.code)
            return None
        return None if raw is None else _View.from_bytes(raw)

    def _keep(self, pseudonym: Pseudonym, key: str, view: _View) -> None:
        if self._config.cache_ttl_s <= 0:
            return
        try:
            self._cache.put(pseudonym, key, view.to_bytes(), ttl_s=self._config.cache_ttl_s)
        except DependencyUnavailableError as error:
            _log.warning("cache_unavailable", code=error.code)


def _evidence_key(request: RerankingRequest) -> str:
    """Return a name for exactly this evidence: another memory or candidate, another key."""
    memories = [
        (one.kind, one.item and one.item.item_id, one.value, one.strength, one.text)
        for one in request.memories
    ]
    body = [request.epoch, memories, [one.item_id for one in request.candidates]]
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()
