"""The ranker as the service gets it: the right form for the server, behind a breaker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import Literal

import httpx
import structlog

from app.adapters.llm_breaker import BreakerState, CircuitBreaker
from app.adapters.llm_json import JsonRanker
from app.adapters.llm_prompting import Prompting
from app.adapters.llm_server import LlmServer
from app.adapters.prompt_files import PromptLanguage, load_template
from app.adapters.vllm import OnePassUnsupportedError, VllmRanker
from app.domain.errors import AppError, DependencyUnavailableError, RankerError
from app.domain.prompt import LABELS, ShownMemory
from app.ports.ranker import LlmRanking, Ranker, RankingTask

RankerMode = Literal["auto", "one_pass", "json"]
Background = Callable[[Callable[[], None]], object]
"""Runs a function later, or on another thread, and returns at once."""

log = structlog.get_logger(__name__)


def in_thread(work: Callable[[], None]) -> None:
    """Run ``work`` on a thread that does not keep the process alive."""
    Thread(target=work, name="llm-warm-up", daemon=True).start()


class AutoRanker:
    """Ranks in one pass where the server can, else by JSON; decided at warm-up.

    A vLLM that could rank in one pass but is set too tight is an error, not a reason to be
    twenty times slower in silence.
    """

    def __init__(self, *, one_pass: Ranker, fallback: Ranker) -> None:
        self._one_pass = one_pass
        self._fallback = fallback
        self._chosen: Ranker | None = None

    def warm_up(self) -> None:
        """Choose; raises what the chosen ranker raises."""
        chosen = self._one_pass
        try:
            chosen.warm_up()
        except OnePassUnsupportedError as exc:
            log.warning("ranker_falls_back_to_json", reason=exc.message)
            chosen = self._fallback
            chosen.warm_up()
        self._chosen = chosen

    def rank(self, task: RankingTask) -> LlmRanking:
        """Rank with the ranker chosen."""
        if self._chosen is None:
            message = "the LLM ranker is not warmed up"
            raise DependencyUnavailableError(message)
        return self._chosen.rank(task)

    def memory_tokens(self, memories: Sequence[ShownMemory]) -> list[int]:
        """Return about how many tokens each takes in a prompt."""
        return (self._chosen or self._one_pass).memory_tokens(memories)

    def status(self) -> str:
        """Return ``ready`` or ``cold``."""
        return "cold" if self._chosen is None else self._chosen.status()


class GuardedRanker:
    """Keeps a ranker that does not work from costing a request anything.

    While the breaker is open a call is refused at once. The trial after the cool-down is a
    warm-up in the background, set off by a call and paid by none; so a server that starts
    late, or comes back with a cold grammar cache, is picked up by itself.

    Args:
        ranker: what is guarded.
        breaker: its counts and cool-down.
        background: runs the trial.
        close: releases what ``ranker`` holds.
    """

    def __init__(
        self,
        ranker: Ranker,
        *,
        breaker: CircuitBreaker,
        background: Background = in_thread,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._ranker = ranker
        self._breaker = breaker
        self._background = background
        self._was_ready = False
        self.close = close

    def warm_up(self) -> None:
        """Warm the ranker up now, unless it is ready; refuse while it cools down."""
        if self._breaker.begin_trial():
            self._trial()
        elif self._breaker.state is not BreakerState.CLOSED:
            raise _not_ready()

    def rank(self, task: RankingTask) -> LlmRanking:
        """Rank, or refuse at once while the breaker is open."""
        if self._breaker.state is not BreakerState.CLOSED:
            if self._breaker.begin_trial():
                self._background(self._quiet_trial)
            raise _not_ready()
        try:
            ranking = self._ranker.rank(task)
        except (DependencyUnavailableError, RankerError) as exc:
            if self._breaker.failed():
                log.warning("ranker_breaker_opened", code=exc.code, reason=exc.message)
            raise
        self._breaker.succeeded()
        return ranking

    def memory_tokens(self, memories: Sequence[ShownMemory]) -> list[int]:
        """Return about how many tokens each takes in a prompt."""
        return self._ranker.memory_tokens(memories)

    def status(self) -> str:
        """Return ``ready``, ``cold`` (never worked yet) or ``open``."""
        if self._breaker.state is BreakerState.CLOSED:
            return "ready"
        return "open" if self._was_ready else "cold"

    def _trial(self) -> None:
        is_ready = False
        try:
            self._ranker.warm_up()
            is_ready = True
        finally:
            # Also after an error that is none of ours: else the breaker stays half open.
            if is_ready:
                self._was_ready = True
                self._breaker.succeeded(in_trial=True)
                log.info("ranker_ready")
            else:
                self._breaker.failed(in_trial=True)

    def _quiet_trial(self) -> None:
        try:
            self._trial()
        except AppError as exc:
            log.warning("ranker_not_ready", code=exc.code, reason=exc.message)


def _not_ready() -> DependencyUnavailableError:
    return DependencyUnavailableError("the LLM ranker is not ready")


@dataclass(frozen=True, slots=True)
class LlmConnection:
    """Everything that decides how a server is reached and used.

    Args:
        base_url: of a vLLM or an OpenAI-compatible server, with or without ``/v1``.
        model: name under which it serves the model.
        api_key: bearer token; None sends none.
        mode: ``auto`` decides between the other two at warm-up.
        window: candidates ranked at most, 2 to 52; the server's ``--max-logprobs`` at least.
        permutations: passes of the one-pass form, 1 or 2.
        language: of the prompt.
        memory_tokens: most tokens of memories in a prompt.
        max_connections: calls under way at once, >= 1.
        warm_up_timeout_s: total seconds for a warm-up.
        breaker_failures: failures in a row that open the breaker, >= 1.
        breaker_cool_down_s: seconds until the next trial, >= 0.
    """

    base_url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    mode: RankerMode = "auto"
    window: int = len(LABELS)
    permutations: int = 1
    language: PromptLanguage = "en"
    memory_tokens: int = 800
    max_connections: int = 16
    warm_up_timeout_s: float = 120.0
    breaker_failures: int = 3
    breaker_cool_down_s: float = 10.0


def connect_ranker(
    connection: LlmConnection, *, transport: httpx.BaseTransport | None = None
) -> GuardedRanker:
    """Return a ranker for the server of ``connection``; nothing is called yet.

    Args:
        connection: where and how.
        transport: replaces the network, for tests.
    """
    server = LlmServer(
        connection.base_url,
        model=connection.model,
        api_key=connection.api_key,
        max_connections=connection.max_connections,
        transport=transport,
    )
    prompting = Prompting(
        load_template(connection.language), memory_tokens=connection.memory_tokens
    )
    one_pass = VllmRanker(
        server,
        prompting=prompting,
        window=connection.window,
        permutations=connection.permutations,
        warm_up_timeout_s=connection.warm_up_timeout_s,
    )
    by_json = JsonRanker(
        server,
        prompting=prompting,
        window=connection.window,
        warm_up_timeout_s=connection.warm_up_timeout_s,
    )
    rankers: dict[RankerMode, Ranker] = {
        "auto": AutoRanker(one_pass=one_pass, fallback=by_json),
        "one_pass": one_pass,
        "json": by_json,
    }
    breaker = CircuitBreaker(
        failures=connection.breaker_failures, cool_down_s=connection.breaker_cool_down_s
    )
    return GuardedRanker(rankers[connection.mode], breaker=breaker, close=server.close)
