"""What every way of ranking shares: it ranks once its warm-up has succeeded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from time import monotonic
from typing import Final, Protocol

from app.adapters.llm.client import LlmRefusedError, LlmServer
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


class TooLongError(LlmRefusedError):
    """A prompt was refused that may have been longer than the server's context."""


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


class LlmRanker(ABC):
    """What every form over a server needs.

    Args:
        server: asked by HTTP.
        prompting: wording and sizes.
    """

    def __init__(self, server: LlmServer, *, prompting: Prompting) -> None:
        self._server = server
        self._prompting = prompting
        self._is_warm = False

    def rank(self, task: RankingTask) -> LlmRanking:
        """Score the candidates, or the first ones where there is no time for all."""
        if not self._is_warm:
            message = "the LLM ranker is not warmed up"
            raise DependencyUnavailableError(message)
        return self._fitted(task)

    def _fitted(self, task: RankingTask) -> LlmRanking:
        """Ask; where a text was more tokens than was thought, ask at once again, for less."""
        deadline = monotonic() + task.timeout_s
        while True:
            try:
                return self._rank(replace(task, timeout_s=deadline - monotonic()))
            except TooLongError:
                if not self._prompting.rate.refused():
                    raise

    @abstractmethod
    def _rank(self, task: RankingTask) -> LlmRanking:
        """Ask once."""

    def _described(self) -> Mapping[str, object]:
        """Check that the model is served, and take in how much the server reads at once."""
        model = self._server.describe_model(timeout_s=WARM_UP_TIMEOUT_S)
        told = model.get("max_model_len")
        if isinstance(told, int) and told > 1:
            self._prompting.contexts[self._server] = told
        return model

    def _answers(
        self,
        path: str,
        bodies: Sequence[Mapping[str, object]],
        *,
        texts: Iterable[Sequence[str]],
        timeout_s: float,
    ) -> list[Mapping[str, object]]:
        """Send ``bodies``, of prompts with these texts; as ``post_all``, or TooLongError."""
        try:
            return self._server.post_all(path, bodies, timeout_s=timeout_s)
        except LlmRefusedError as exc:
            # A byte is a token at most: a shorter prompt was refused for another reason.
            largest = max(len("".join(one).encode()) for one in texts)
            if exc.status == HTTPStatus.BAD_REQUEST and largest > self._prompting.room:
                raise TooLongError(path, status=exc.status) from exc
            raise

    def _largest_task(self, n_candidates: int, *, timeout_s: float) -> RankingTask:
        """Return the largest prompt there can be, so that no limit is met by a user first."""
        return RankingTask(
            memories=self._prompting.largest_memories(),
            candidates=[self._prompting.largest_item(number) for number in range(n_candidates)],
            cache_salt=PROBE_SALT,
            seed=0,
            timeout_s=timeout_s,
        )
