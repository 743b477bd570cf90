"""Ordering candidates: the LLM's view blended with the fused order, or the fused order alone."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import structlog

from app.domain.errors import DependencyUnavailableError, RankerError
from app.domain.models import Item, ItemId, Pseudonym, Scored
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.fusion import blend, by_position
from app.domain.recommendation.prompt import ShownMemory
from app.domain.tally import Tally
from app.ports.cache import Cache
from app.ports.ranker import LlmRanking, Ranker, RankingForm, RankingTask
from app.services.concurrency import ConcurrencyLimiter
from app.services.recommendation.reading_check import ReadingCheck

_log = structlog.get_logger(__name__)


class RankedBy(StrEnum):
    """What decided the order of an answer."""

    LLM = "llm"
    RETRIEVAL = "retrieval"
    POPULARITY = "popularity"


class Regime(StrEnum):
    """What an answer rests on; each kind has a weight of the LLM of its own."""

    QUERY = "query"
    """What the user asks for now."""
    HISTORY = "history"
    """What the user did."""
    STRANGER = "stranger"
    """Nothing of the user."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """How an order came about, as the answer and the metrics tell it.

    Args:
        is_degraded: a part (the LLM, the vector store) should have taken part, and could not.
        form: how the LLM was asked; None where it did not rank.
        prompt_id: the wording it was asked in; likewise.
    """

    ranked_by: RankedBy
    regime: Regime
    is_degraded: bool = False
    form: RankingForm | None = None
    prompt_id: str | None = None


@dataclass(frozen=True, slots=True)
class RerankerConfig:
    """How the LLM takes part.

    Args:
        weight: share of the LLM's order in the blend, in [0, 1]; at 0 it is not asked.
        query_weight: the same where the user asks for something.
        timeout_s: most seconds an answer waits for it.
        cache_ttl_s: seconds for which the same evidence need not be ranked again; 0 for never.
    """

    weight: float
    query_weight: float
    timeout_s: float
    cache_ttl_s: float


@dataclass(frozen=True, slots=True)
class RerankingRequest:
    """What is to be ordered, for whom.

    Args:
        memories: oldest first.
        candidates: best first by the fused order.
        pseudonym: None for a visitor, of whom nothing is kept.
        epoch: the user's, so that nothing ranked before an erasure is found after it.
        query: what the user asks for now, in their own words.
    """

    pseudonym: Pseudonym | None
    epoch: int
    memories: Sequence[ShownMemory]
    candidates: Sequence[Item]
    query: str | None = None


@dataclass(frozen=True, slots=True)
class OrderedCandidates:
    """Candidates in their final order."""

    items: list[Scored]
    provenance: Provenance


class Ranking(Protocol):
    """Orders candidates."""

    @property
    def has_model(self) -> bool:
        """Whether there is an LLM, however it is at the moment."""
        ...

    def order(self, request: RerankingRequest) -> OrderedCandidates:
        """Return the candidates, best first."""
        ...


class Reranker:
    """Orders candidates. An LLM that is slow, down or talks nonsense never fails an answer."""

    def __init__(
        self,
        *,
        ranker: Ranker | None,
        reading: ReadingCheck,
        cache: Cache,
        answers: Tally,
        identity: Identity,
        limiter: ConcurrencyLimiter,
        config: RerankerConfig,
    ) -> None:
        """Take what it works with; without a ``ranker`` the fused order stands.

        ``answers`` counts each ``hit`` and ``miss`` of the cache.
        """
        self._ranker = ranker
        self._reading = reading
        self._cache = cache
        self._identity = identity
        self._limiter = limiter
        self._config = config
        self._answers = answers

    @property
    def has_model(self) -> bool:
        """Whether there is an LLM, however it is at the moment."""
        return self._ranker is not None

    def order(self, request: RerankingRequest) -> OrderedCandidates:
        """Return the candidates, best first.

        The LLM is asked only where there is something to choose and something to choose by, and
        only one that has shown that it reads.
        """
        fused = [item.item_id for item in request.candidates]
        plain = Provenance(
            RankedBy.RETRIEVAL, Regime.HISTORY if request.query is None else Regime.QUERY
        )
        weight = self._weight(request)
        if self._ranker is None or weight <= 0 or len(fused) < 2:  # noqa: PLR2004 - a choice
            return OrderedCandidates(by_position(fused), plain)
        try:
            ranking = self._rank(self._ranker, request)
        except (DependencyUnavailableError, RankerError) as error:
            _log.warning("ranking_degraded", code=error.code)
            return OrderedCandidates(by_position(fused), replace(plain, is_degraded=True))
        return OrderedCandidates(
            blend(fused, ranking.log_probabilities, weight=weight),
            replace(plain, ranked_by=RankedBy.LLM, form=ranking.form, prompt_id=ranking.prompt_id),
        )

    def _weight(self, request: RerankingRequest) -> float:
        """Return the share of the LLM's order, 0 where it has nothing to go by or cannot tell."""
        if request.query is not None:
            is_able = self._ranker is not None and self._ranker.health().ranks_queries
            return self._config.query_weight if is_able else 0.0
        return self._config.weight if request.memories and self._reading.is_passed else 0.0

    def _rank(self, ranker: Ranker, request: RerankingRequest) -> LlmRanking:
        """Ask the LLM, unless the same evidence was ranked a moment ago."""
        key = _evidence_key(request)
        owner = request.pseudonym
        # What a user asks in words is used and not kept.
        keeper = owner if request.query is None else None
        cached = None if keeper is None else self._cached(keeper, key)
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
            query=request.query,
        )
        with self._limiter.given_up():
            ranking = ranker.rank(task)
        if keeper is not None:
            self._keep(keeper, key, ranking)
        return ranking

    def _cached(self, pseudonym: Pseudonym, key: str) -> LlmRanking | None:
        if self._config.cache_ttl_s <= 0:
            return None
        try:
            raw = self._cache.get(pseudonym, key)
        except DependencyUnavailableError as error:
            _log.warning("cache_unavailable", code=error.code)
            return None
        return None if raw is None else _from_bytes(raw)

    def _keep(self, pseudonym: Pseudonym, key: str, ranking: LlmRanking) -> None:
        if self._config.cache_ttl_s <= 0:
            return
        try:
            self._cache.put(pseudonym, key, _to_bytes(ranking), ttl_s=self._config.cache_ttl_s)
        except DependencyUnavailableError as error:
            _log.warning("cache_unavailable", code=error.code)


def _evidence_key(request: RerankingRequest) -> str:
    """Return a name for exactly this evidence: another memory or candidate, another key."""
    memories = [
        (one.kind, one.item and one.item.item_id, one.value, one.strength, one.text)
        for one in request.memories
    ]
    candidates = [one.item_id for one in request.candidates]
    body = [request.epoch, request.query, memories, candidates]
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()


def _to_bytes(ranking: LlmRanking) -> bytes:
    return json.dumps([ranking.form, ranking.prompt_id, ranking.log_probabilities]).encode()


def _from_bytes(raw: bytes) -> LlmRanking:
    form, prompt_id, scores = json.loads(raw)
    by_item = {ItemId(one): float(score) for one, score in scores.items()}
    return LlmRanking(by_item, RankingForm(form), prompt_id)
