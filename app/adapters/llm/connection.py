"""The ranker as the service gets it: the right form for each server, guarded, in a pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import httpx
import structlog

from app.adapters.llm.admission_queue import AdmissionQueue
from app.adapters.llm.circuit_breaker import CircuitBreaker
from app.adapters.llm.client import LlmChannel, LlmServer
from app.adapters.llm.explainer import ExplainerPool, LlmExplainer
from app.adapters.llm.guarded_ranker import GuardedRanker
from app.adapters.llm.json_scores import JsonRanker
from app.adapters.llm.pointwise import PointwiseRanker
from app.adapters.llm.pool import RankerPool
from app.adapters.llm.prompts import Prompting, PromptLanguage, load_template
from app.adapters.llm.single_pass import SinglePassRanker
from app.adapters.llm.tokenizer import OnePassUnsupportedError
from app.domain.errors import DependencyUnavailableError
from app.domain.recommendation.prompt import LABELS, ShownMemory
from app.ports.ranker import LlmRanking, Ranker, RankingTask

RankerMode = Literal["auto", "one_pass", "pointwise", "json"]
_PING_TIMEOUT_S: Final = 2.0
_EXPLAINING: Final = 4
"""Explanations under way at once: they are long, and nobody's list waits for them."""

log = structlog.get_logger(__name__)


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


@dataclass(frozen=True, slots=True)
class LlmConnection:
    """Everything that decides how the servers of a model are reached and used.

    Args:
        base_urls: of vLLMs or OpenAI-compatible servers, with or without ``/v1``; at least one.
        model: name under which they serve the model.
        api_key: bearer token; None sends none.
        mode: ``auto`` decides between ``one_pass`` and ``json`` at warm-up.
        window: candidates shown at once, 2 to 52; the servers' ``--max-logprobs`` at least.
        permutations: passes of the one-pass form, 1 or 2.
        language: of the prompt.
        memory_tokens: most tokens of memories in a prompt.
        max_connections: calls under way at once, >= 1.
        max_running: rankings under way at once, >= 1.
        max_waiting: rankings in line at most, >= 0.
        hedge_after_s: see ``RankerPool``.
        warm_up_timeout_s: total seconds for a warm-up.
        breaker_failures: failures in a row that open a server's breaker, >= 1.
        breaker_cool_down_s: seconds until its next trial, >= 0.
    """

    base_urls: Sequence[str]
    model: str
    api_key: str | None = field(default=None, repr=False)
    mode: RankerMode = "auto"
    window: int = len(LABELS)
    permutations: int = 1
    language: PromptLanguage = "en"
    memory_tokens: int = 800
    max_connections: int = 16
    max_running: int = 16
    max_waiting: int = 64
    hedge_after_s: float | None = None
    warm_up_timeout_s: float = 120.0
    breaker_failures: int = 3
    breaker_cool_down_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Llm:
    """What the service asks the servers for; both share the connection."""

    ranker: RankerPool
    explainer: ExplainerPool


def connect_llm(connection: LlmConnection, *, transport: httpx.BaseTransport | None = None) -> Llm:
    """Return what ranks and explains over the servers of ``connection``; nothing is called yet.

    Args:
        connection: where and how.
        transport: replaces the network, for tests.
    """
    channel = LlmChannel(
        api_key=connection.api_key,
        max_connections=connection.max_connections,
        transport=transport,
    )
    prompting = Prompting(
        load_template(connection.language), memory_tokens=connection.memory_tokens
    )
    servers = [
        LlmServer(base_url, model=connection.model, channel=channel)
        for base_url in connection.base_urls
    ]
    pool = RankerPool(
        [_guarded(server, connection, prompting=prompting) for server in servers],
        queue=AdmissionQueue(running=connection.max_running, waiting=connection.max_waiting),
        hedge_after_s=connection.hedge_after_s,
        close=channel.close,
    )
    explainer = ExplainerPool(
        pool,
        explainers=[LlmExplainer(server, prompting=prompting) for server in servers],
        queue=AdmissionQueue(running=_EXPLAINING, waiting=2 * _EXPLAINING),
    )
    return Llm(pool, explainer)


def connect_ranker(
    connection: LlmConnection, *, transport: httpx.BaseTransport | None = None
) -> RankerPool:
    """Return the ranker alone; as ``connect_llm``."""
    return connect_llm(connection, transport=transport).ranker


def _guarded(
    server: LlmServer, connection: LlmConnection, *, prompting: Prompting
) -> GuardedRanker:
    one_pass = SinglePassRanker(
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
        "pointwise": PointwiseRanker(
            server, prompting=prompting, warm_up_timeout_s=connection.warm_up_timeout_s
        ),
        "json": by_json,
    }
    return GuardedRanker(
        rankers[connection.mode],
        breaker=CircuitBreaker(
            failures=connection.breaker_failures, cool_down_s=connection.breaker_cool_down_s
        ),
        ping=lambda: server.describe_model(timeout_s=_PING_TIMEOUT_S),
    )
