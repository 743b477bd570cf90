"""The LLM servers that the settings ask for, and what the metrics tell of them."""

from __future__ import annotations

from contextlib import ExitStack

from app.adapters.llm.connection import Llm, LlmConnection, connect_llm
from app.adapters.llm.diversity_table import load_diversity_table
from app.adapters.llm.pool import RankerPool
from app.domain.recommendation.clusters import SharedOut
from app.domain.tally import Tally
from app.observability import Metrics
from app.ports.embedder import Embedder
from app.settings_groups import LlmSettings


def connect(llm: LlmSettings, closing: ExitStack) -> Llm | None:
    """Return the connection, None without an address; nothing is called yet."""
    if llm.base_url is None or llm.model is None:
        return None
    connected = connect_llm(
        LlmConnection(
            base_urls=llm.base_url.split(","),
            model=llm.model,
            api_key=llm.api_key.get_secret_value() if llm.api_key else None,
            mode=llm.mode,
            language=llm.language,
            memory_tokens=llm.memory_tokens,
            window=llm.window,
            permutations=llm.permutations,
            max_connections=llm.max_connections,
            max_running=llm.max_running,
            max_waiting=llm.max_waiting,
            hedge_after_s=llm.hedge_after_s,
            breaker_cool_down_s=llm.cool_down_s,
        )
    )
    closing.callback(connected.ranker.close)
    return connected


def diversity(llm: LlmSettings, embedder: Embedder) -> SharedOut | None:
    """Return the clusters and shares of the table, None without one.

    Raises:
        IntegrityError: the file is no table, or another embedder's.
    """
    path = llm.diversity_table
    if path is None:
        return None
    return load_diversity_table(path, embedder_id=embedder.embedder_id, dim=embedder.dim)


def watch_llm(metrics: Metrics, pool: RankerPool, *, answers: Tally) -> None:
    """Show the work of ``pool``, and how often an answer needed none of it."""
    totals = {
        "rankings": ("Rankings by outcome, moves to another server, hedges.", pool.calls),
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
        read=pool.breakers,
    )
