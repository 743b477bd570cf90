"""The LLM that ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.domain.models import Item, ItemId
from app.domain.recommendation.prompt import ShownMemory


@dataclass(frozen=True, slots=True)
class RankingTask:
    """What the LLM is asked.

    Args:
        memories: those chosen by the strategy, most telling first.
        candidates: items to rank, best first by the fused order; at least one.
        cache_salt: 64 hex digits; prompts of two salts never share a prefix-cache block.
        seed: decides the order in which candidates are shown.
        timeout_s: total seconds the caller will wait, > 0.
    """

    memories: Sequence[ShownMemory]
    candidates: Sequence[Item]
    cache_salt: str
    seed: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class LlmRanking:
    """What the LLM answered.

    Args:
        log_probabilities: one natural log-probability (<= 0) for each candidate.
        prompt_tokens: tokens read.
        completion_tokens: tokens generated.
        prompt_id: the wording it was asked in: language, version, hash of the template.
        cached_tokens: of those read, the ones that the server had in its prefix cache; 0 where
            it does not tell.
    """

    log_probabilities: dict[ItemId, float]
    prompt_tokens: int
    completion_tokens: int
    prompt_id: str
    cached_tokens: int = 0


class Ranker(Protocol):
    """Scores candidates against memories with a frozen LLM."""

    def warm_up(self) -> None:
        """Check the server and the model, and pay one-off costs. Idempotent.

        Raises:
            DependencyUnavailableError: the server does not answer.
            RankerError: it answers but cannot rank (wrong model, labels not one token).
        """
        ...

    def rank(self, task: RankingTask) -> LlmRanking:
        """Score every candidate within ``task.timeout_s``.

        Raises:
            DependencyUnavailableError: no answer in time, or the breaker is open.
            RankerError: an answer from which no ranking can be read.
        """
        ...

    def memory_tokens(self, memories: Sequence[ShownMemory]) -> list[int]:
        """Return about how many tokens of the served model each memory takes in a prompt.

        Costs no call to the server, works before the warm-up, and is meant to be right in sums.
        """
        ...

    def status(self) -> str:
        """Return ``ready``, ``cold`` (not warmed up), ``open`` (breaker) or ``absent``."""
        ...
