"""What every way of ranking shares: it ranks once its warm-up has succeeded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from app.adapters.llm.client import LlmServer
from app.adapters.llm.prompts import Prompting
from app.domain.errors import DependencyUnavailableError
from app.domain.recommendation.prompt import ShownMemory
from app.ports.ranker import LlmRanking, RankingTask

PROBE_SALT: Final = "0" * 64
"""Of the prompts of warm-ups, which are about nobody."""


class LlmRanker(ABC):
    """A way of ranking over one server.

    Args:
        server: asked by HTTP.
        prompting: wording and sizes.
        warm_up_timeout_s: total seconds for the checks.
    """

    def __init__(
        self, server: LlmServer, *, prompting: Prompting, warm_up_timeout_s: float
    ) -> None:
        self._server = server
        self._prompting = prompting
        self._warm_up_timeout_s = warm_up_timeout_s
        self._is_warm = False

    @abstractmethod
    def warm_up(self) -> None:
        """Check the server and the model; ``rank`` answers from then on."""

    @abstractmethod
    def _ask(self, task: RankingTask) -> LlmRanking:
        """Score every candidate of a task."""

    def _largest_task(self, n_candidates: int, *, timeout_s: float) -> RankingTask:
        """Return the largest prompt there can be, so that no limit is met by a user first."""
        return RankingTask(
            memories=self._prompting.largest_memories(),
            candidates=[self._prompting.largest_item(number) for number in range(n_candidates)],
            cache_salt=PROBE_SALT,
            seed=0,
            timeout_s=timeout_s,
        )

    def rank(self, task: RankingTask) -> LlmRanking:
        """Score every candidate.

        Raises:
            DependencyUnavailableError: the warm-up has not succeeded, or the server does not
                answer in time.
            RankerError: an answer from which no ranking can be read.
        """
        if not self._is_warm:
            message = "the LLM ranker is not warmed up"
            raise DependencyUnavailableError(message)
        return self._ask(task)

    def memory_tokens(self, memories: Sequence[ShownMemory]) -> list[int]:
        """Return about how many tokens each takes in a prompt."""
        return self._prompting.costs(memories)

    def status(self) -> str:
        """Return ``ready`` or ``cold``."""
        return "ready" if self._is_warm else "cold"
