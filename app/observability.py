"""Logs and metrics, and what keeps personal data out of them.

Each event is one line on standard output: a constant event name, and facts as keywords, with ids
of requests and steps but never of users. Vendors' log lines get the same form. The first safeguard
is review and ``tests/architecture``; the second is ``_withhold_personal`` below.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Final, Literal
from wsgiref.simple_server import WSGIRequestHandler, make_server

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from structlog.typing import EventDict, Processor, WrappedLogger

from app.services.recommendation.reranking import Provenance, Regime

_Family = CounterMetricFamily | GaugeMetricFamily
PERSONAL_KEYS: Final = frozenset(
    {
        *("user", "user_id", "users", "sub", "subject", "pseudonym", "pseudonyms", "email"),
        *("text", "texts", "note", "topic", "scope", "history", "interaction", "interactions"),
        *("memory", "memories", "document", "documents", "embedding", "embeddings", "vector"),
        *("prompt", "messages", "answer", "completion", "explanation", "because", "content"),
        *("event_id", "event_key", "idempotency_key", "subject_request_id", "body", "payload"),
        *("url", "path", "query", "query_string", "headers", "cookies", "client", "ip"),
        *("token", "authorization", "password", "secret", "pepper", "api_key"),
    }
)
"""Keywords that no log call may have, because they name personal data or secrets.

URLs are among them because ours contain user ids; route templates are not.
"""
_WITHHELD: Final = "[withheld]"
_KEYED_HASH: Final = re.compile(r"(?<![0-9a-fA-F])[0-9a-f]{64}(?![0-9a-fA-F])")
"""A pseudonym, event key or tombstone, as a vendor's message may quote it."""
_QUIET: Final[Mapping[str, int]] = {
    "uvicorn.access": logging.CRITICAL,  # has the path, and so the user id
    "httpx": logging.WARNING,  # INFO has the whole address
    "httpcore": logging.WARNING,  # DEBUG has headers
    "sqlalchemy.engine": logging.WARNING,  # INFO has statements and their parameters
    "chromadb": logging.WARNING,
    "celery.app.trace": logging.WARNING,  # INFO repeats what our tasks log themselves
    "celery.worker.strategy": logging.WARNING,
    "kombu": logging.WARNING,
    "alembic.runtime.plugins": logging.WARNING,  # a line a plugin at every start
}


class PersonalDataInLogError(Exception):
    """A log call names something personal; raised for developers, never in production."""


def configure_logging(*, level: str, is_json: bool, is_strict: bool) -> None:
    """Send every log line, ours and the vendors', to standard output in one form.

    Call once at the start of a process; a repeat replaces the former. uvicorn has to be started
    with ``log_config=None`` and Celery with ``worker_hijack_root_logger=False``, or they undo it.

    Args:
        level: least severity written: debug, info, warning or error.
        is_json: one JSON object a line, else readable lines.
        is_strict: a personal keyword raises ``PersonalDataInLogError``, else it is withheld.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _raise_on_personal if is_strict else _withhold_personal,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # so that a repeat reaches loggers that were used before
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, _mask_keyed_hashes],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # As text and without local variables, which may hold personal data.
            structlog.processors.format_exc_info,
            _mask_exception,
            _renderer(is_json=is_json),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name, quiet_level in _QUIET.items():
        logging.getLogger(name).setLevel(max(quiet_level, root.level))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True


def _renderer(*, is_json: bool) -> Processor:
    if is_json:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def _raise_on_personal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if personal := sorted(PERSONAL_KEYS & event.keys()):
        message = f"log event {event.get('event')!r} has personal keywords: {personal}"
        raise PersonalDataInLogError(message)
    return event


def _withhold_personal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: _WITHHELD if key in PERSONAL_KEYS else value for key, value in event.items()}


def _mask_keyed_hashes(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["event"] = _KEYED_HASH.sub(_WITHHELD, str(event["event"]))
    return event


def _mask_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if isinstance(event.get("exception"), str):
        event["exception"] = _KEYED_HASH.sub(_WITHHELD, event["exception"])
    return event


class Metrics:
    """The metrics of one process. Labels are route templates and outcomes, a closed set each.

    What is true of the whole service, such as requests by state, is read from SQL when somebody
    asks, so that every process tells the same.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._here = CollectorRegistry()
        ProcessCollector(registry=self._here)
        self.watch(
            "lethe_build_info",
            "1 for the version that runs.",
            label="version",
            read=lambda: {version("lethe"): 1.0},
        )
        self._http = Histogram(
            "lethe_http_request_seconds",
            "Time from the request's first byte to the answer's head.",
            ("method", "route", "status"),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.5, 3, 6, 15),
            registry=self._registry,
        )
        self._recommendations = self._counter(
            "lethe_recommendations",
            "Recommendations answered.",
            *("scenario", "ranked_by", "regime", "form", "personalised", "degraded"),
        )
        self._stalls = self._counter(
            "lethe_stalls", "Recommendations in which a part took longer than 250 ms.", "part"
        )
        self._interactions = self._counter(
            "lethe_interactions", "Interactions received, by what became of them.", "outcome"
        )
        self._forgets = self._counter("lethe_forgets", "Erasure requests accepted.", "scope")
        self._steps = self._counter(
            "lethe_erasure_step_seconds", "Seconds of work by step of an erasure.", "step"
        )

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self._registry)

    def erasure_step(self, step: str, *, seconds: float) -> None:
        """Add what a step has taken."""
        self._steps.labels(step).inc(seconds)

    def http(self, *, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count an answered request; ``route`` is the template, None where none matched."""
        self._http.labels(method, route or "unmatched", str(status)).observe(seconds)

    def recommendation(
        self, made: Provenance, *, scenario: str | None, stalled: Iterable[str] = ()
    ) -> None:
        """Count a recommendation, under a preset of the installation or none; what it stood at."""
        for part in stalled:
            self._stalls.labels(part).inc()
        self._recommendations.labels(
            scenario or "-",
            made.ranked_by,
            made.regime,
            made.form or "none",
            str(made.regime is not Regime.STRANGER).lower(),
            str(made.is_degraded).lower(),
        ).inc()

    def interactions(
        self, outcome: Literal["accepted", "duplicate", "updated", "refused"], *, count: int
    ) -> None:
        """Count interactions of a batch."""
        self._interactions.labels(outcome).inc(count)

    def forget(self, *, scope_kind: str) -> None:
        """Count an accepted erasure request."""
        self._forgets.labels(scope_kind).inc()

    def watch(
        self,
        name: str,
        documentation: str,
        *,
        label: str,
        read: Callable[[], Mapping[str, float]],
        is_counter: bool = False,
    ) -> None:
        """Publish what ``read`` returns: a number for each value of the label.

        Args:
            name: such as ``lethe_erasure_requests``.
            documentation: one sentence.
            label: name of the one label, such as ``state``.
            read: called at every scrape, in the thread of the scrape.
            is_counter: the numbers never fall, except at a restart.
        """
        kind = CounterMetricFamily if is_counter else GaugeMetricFamily
        self._here.register(_Watched(kind, name, documentation, label=label, read=read))

    def render(self) -> bytes:
        """Return the Prometheus text format, version 0.0.4.

        What is counted, such as requests, is the sum over the processes of one ``lethe serve`` or
        ``lethe worker``, where they share files for that; the rest is of this process, or of all.
        """
        return generate_latest(_shared() or self._registry) + generate_latest(self._here)

    def serve(self, port: int) -> None:
        """Answer ``GET /metrics`` on a port of its own, for a process that serves nothing else."""

        def answer(_: Mapping[str, object], respond: Callable[..., object]) -> list[bytes]:
            respond("200 OK", [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])
            return [self.render()]

        server = make_server("", port, answer, handler_class=_SilentHandler)
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _SilentHandler(WSGIRequestHandler):
    """Writes no line for each scrape."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _shared() -> CollectorRegistry | None:
    """Return what the processes of one host have counted; None where this one counts alone."""
    registry = CollectorRegistry()
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # it has no types
    except ValueError:  # no directory was set, see ``app.cli.serve``
        return None
    return registry


class _Watched(Collector):
    """A metric with one label, read on demand."""

    def __init__(
        self,
        kind: type[_Family],
        name: str,
        documentation: str,
        *,
        label: str,
        read: Callable[[], Mapping[str, float]],
    ) -> None:
        self._kind = kind
        self._name, self._documentation, self._label, self._read = name, documentation, label, read

    def describe(self) -> Iterator[_Family]:
        """Yield the metric without values, so that registering it reads nothing."""
        yield self._kind(self._name, self._documentation, labels=(self._label,))

    def collect(self) -> Iterator[_Family]:
        """Yield the present values."""
        family = self._kind(self._name, self._documentation, labels=(self._label,))
        for value, number in self._read().items():
            family.add_metric((value,), number)
        yield family
