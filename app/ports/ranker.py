"""The LLM that ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from app.domain.models import Item, ItemId
from app.domain.recommendation.prompt import ShownMemory


class RankingForm(StrEnum):
    """How a model is asked, and what is read of its answer."""

    LABEL = "label"
    """The label of the best candidate; the log-probabilities of all labels rank them all."""
    JSON = "json"
    """A JSON object of scores."""
    LIKELIHOOD = "likelihood"
    """How likely the user's words are after each candidate's text; without words, how much
    likelier a candidate's title is after those that the user likes."""


@dataclass(frozen=True, slots=True)
class RankingTask:
    """What the LLM is asked.

    Args:
        memories: those chosen by the strategy, oldest first, whatever the candidates are: so the
            next prompt of the same user begins as this one does.
        candidates: items to rank, best first by the fused order; at least one.
        cache_salt: 64 hex digits; prompts of two salts never share a prefix-cache block.
        seed: decides the order in which candidates are shown.
        timeout_s: total seconds the caller will wait, > 0.
        query: the user's words now; with them candidates are ranked by likelihood, and memories
            take no part.
        form: to be asked in; None for what suits the server, and the query.
    """

    memories: Sequence[ShownMemory]
    candidates: Sequence[Item]
    cache_salt: str
    seed: int
    timeout_s: float
    query: str | None = None
    form: RankingForm | None = None


@dataclass(frozen=True, slots=True)
class LlmRanking:
    """What the LLM answered.

    Args:
        log_probabilities: one natural log-probability (<= 0) for each candidate, or for the first
            ones, as many as there was time for.
        form: how it was asked.
        prompt_id: the wording it was asked in: language, version, hash of the template.
        prompt_tokens: tokens read; 0 where the ranking comes from the answer cache.
        completion_tokens: tokens generated; likewise.
        cached_tokens: of those read, the ones that the server had in its prefix cache; 0 where
            it does not tell.
    """

    log_probabilities: dict[ItemId, float]
    form: RankingForm
    prompt_id: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class RankerHealth:
    """How the servers behind a ranker are.

    Args:
        status: ``ready``, ``cold`` (no server was warmed up yet) or ``open`` (all failed since).
        servers: how many there are by the state of their circuit breaker.
        ranks_queries: whether a server is ready that ranks by likelihood.
        warm_ups: how often a server was warmed up; another model may have come with each.
    """

    status: str
    servers: Mapping[str, int] = field(default_factory=dict)
    ranks_queries: bool = False
    warm_ups: int = 1


class Ranker(Protocol):
    """Scores candidates against memories with a frozen LLM."""

    def rank(self, task: RankingTask) -> LlmRanking:
        """Score every candidate within ``task.timeout_s``.

        Raises:
            DependencyUnavailableError: no answer in time, or no server is ready (for a query).
            RankerError: an answer from which no ranking can be read.
        """
        ...

    def health(self) -> RankerHealth:
        """Return how the servers are, as far as is known without asking one."""
        ...
