"""What the metrics tell of the LLM: numbers alone, of nobody."""

from __future__ import annotations

from app.adapters.llm_pool import RankerPool
from app.domain.tally import Tally
from app.observability import Metrics


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
