"""What every way of ranking shares: it ranks once its warm-up has succeeded."""

from __future__ import annotations

from typing import Final, Protocol

from app.adapters.llm.client import LlmServer
from app.adapters.llm.prompts import Prompting
from app.domain.errors import DependencyUnavailableError, RankerError
from app.ports.ranker import LlmRanking, RankingTask

PROBE_SALT: Final = "0" * 64
"""Of the prompts of warm-ups, which are about nobody."""
OTHER_SALT: Final = "1" * 64
"""The same, where nothing must be found in the prefix cache."""
WARM_UP_TIMEOUT_S: Final = 120.0
"""Of all checks of a server together; its first grammar takes up to half a minute."""


class FormUnsupportedError(RankerError):
    """The server ranks, if at all, in another form: no vLLM, or its mask does not hold."""


class Form(Protocol):
    """A way of ranking over one server."""

    def warm_up(self) -> None:
        """Check the server and the model, and pay one-off costs; ``rank`` answers from then on.

        Raises:
            DependencyUnavailableError: the server does not answer.
            FormUnsupportedError: it cannot rank in this form.
            RankerError: it could, but serves another model or is set too tight.
        """
        ...

    def rank(self, task: RankingTask) -> LlmRanking:
        """Score every candidate.

        Raises:
            DependencyUnavailableError: the warm-up has not succeeded, or the server does not
                answer in time.
            RankerError: an answer from which no ranking can be read.
        """
        ...


class LlmRanker:
    """What every form over a server needs.

    Args:
        server: asked by HTTP.
        prompting: wording and sizes.
    """

    def __init__(self, server: LlmServer, *, prompting: Prompting) -> None:
        self._server = server
        self._prompting = prompting
        self._is_warm = False

    def _require_warm(self) -> None:
        if not self._is_warm:
            message = "the LLM ranker is not warmed up"
            raise DependencyUnavailableError(message)

    def _largest_task(self, n_candidates: int, *, timeout_s: float) -> RankingTask:
        """Return the largest prompt there can be, so that no limit is met by a user first."""
        return RankingTask(
            memories=self._prompting.largest_memories(),
            candidates=[self._prompting.largest_item(number) for number in range(n_candidates)],
            cache_salt=PROBE_SALT,
            seed=0,
            timeout_s=timeout_s,
        )
