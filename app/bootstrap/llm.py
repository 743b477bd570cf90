"""The LLM servers that the settings ask for, and what the metrics tell of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httpx

from app.adapters.llm.admission_queue import AdmissionQueue
from app.adapters.llm.circuit_breaker import CircuitBreaker
from app.adapters.llm.client import LlmChannel, LlmServer
from app.adapters.llm.explainer import ExplainerPool, LlmExplainer
from app.adapters.llm.guarded_ranker import GuardedRanker
from app.adapters.llm.json_scores import JsonRanker
from app.adapters.llm.likelihood import LikelihoodRanker
from app.adapters.llm.pool import RankerPool
from app.adapters.llm.prompts import Prompting, load_template
from app.adapters.llm.ranker import Form
from app.adapters.llm.single_pass import SinglePassRanker
from app.domain.errors import SettingsError
from app.domain.tally import Tally
from app.observability import Metrics
from app.services.recommendation.reading_check import Reading, ReadingCheck
from app.settings_llm import LlmSettings

_BREAKER_FAILURES: Final = 3
"""In a row, before a server is left alone."""
_PING_TIMEOUT_S: Final = 2.0
_EXPLAINING: Final = 4
"""Explanations under way at once: they are long, and nobody's list waits for them."""


@dataclass(frozen=True, slots=True)
class Llm:
    """What the service asks the servers for; both share the connection."""

    ranker: RankerPool
    explainer: ExplainerPool


def prompting_of(llm: LlmSettings) -> Prompting:
    """Return the wording and the sizes of prompts."""
    return Prompting(
        load_template(llm.language), memory_tokens=llm.memory_tokens, label_batch=llm.window
    )


def connect_llm(
    llm: LlmSettings, *, prompting: Prompting, transport: httpx.BaseTransport | None = None
) -> Llm:
    """Return what ranks and explains over the servers of ``llm``; nothing is called yet.

    Args:
        llm: with an address and a model.
        prompting: wording and sizes.
        transport: replaces the network, for tests.

    Raises:
        SettingsError: no address or no model.
    """
    if llm.base_url is None or llm.model is None:
        raise SettingsError(["LETHE_LLM__BASE_URL, LETHE_LLM__MODEL: both, or neither"])
    channel = LlmChannel(
        api_key=llm.api_key.get_secret_value() if llm.api_key else None,
        max_connections=llm.max_connections,
        transport=transport,
    )
    servers = [
        LlmServer(base_url, model=llm.model, channel=channel)
        for base_url in llm.base_url.split(",")
    ]
    pool = RankerPool(
        [_guarded(server, llm, prompting=prompting) for server in servers],
        queue=AdmissionQueue(running=llm.max_running, waiting=llm.max_waiting),
        close=channel.close,
    )
    explainer = ExplainerPool(
        pool,
        explainers=[LlmExplainer(server, prompting=prompting) for server in servers],
        queue=AdmissionQueue(running=_EXPLAINING, waiting=2 * _EXPLAINING),
    )
    return Llm(pool, explainer)


def _guarded(server: LlmServer, llm: LlmSettings, *, prompting: Prompting) -> GuardedRanker:
    one_pass = SinglePassRanker(server, prompting=prompting)
    by_json = JsonRanker(server, prompting=prompting)
    by_likelihood = LikelihoodRanker(server, prompting=prompting)
    forms: dict[str, list[Form]] = {
        "auto": [one_pass, by_json],
        "one_pass": [one_pass],
        "json": [by_json],
        "likelihood": [by_likelihood],
    }
    return GuardedRanker(
        forms[llm.mode],
        by_query=by_likelihood,
        breaker=CircuitBreaker(failures=_BREAKER_FAILURES, cool_down_s=llm.cool_down_s),
        ping=lambda: server.describe_model(timeout_s=_PING_TIMEOUT_S),
    )


def watch_llm(metrics: Metrics, pool: RankerPool, *, answers: Tally, reading: ReadingCheck) -> None:
    """Show the work of ``pool``, and how often an answer needed none of it."""
    totals = {
        "rankings": ("Rankings by outcome, moves to another server.", pool.calls),
        "tokens": ("Tokens read, of these found in the prefix cache, generated.", pool.tokens),
        "admissions": ("Rankings admitted and refused, seconds waited in all.", pool.queue.tally),
        "answer_cache": ("Rankings found in the answer cache, or not.", answers),
    }
    for name, (documentation, tally) in totals.items():
        metrics.watch(
            f"lethe_llm_{name}", documentation, label="kind", read=tally.read, is_counter=True
        )
    metrics.watch(
        "lethe_llm_queue",
        "Rankings under way and in line now.",
        label="place",
        read=pool.queue.read,
    )
    metrics.watch(
        "lethe_llm_servers",
        "LLM servers by the state of their circuit breaker.",
        label="breaker",
        read=lambda: pool.health().servers,
    )
    metrics.watch(
        "lethe_llm_reading",
        "1 for what is known of whether the model reads.",
        label="verdict",
        read=lambda: {one.value: float(one is reading.reading) for one in Reading},
    )
