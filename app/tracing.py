"""Traces, by OpenTelemetry: off until an address is set, and with nobody's data.

A span's name is constant, its facts are of closed sets: route templates, statuses, milliseconds,
ids of requests. No text of an error is among them, for it may quote what was sent. Libraries
(FastAPI, chromadb) make spans of their own, with addresses in them, for whoever is the process's
tracer provider: ours is not, so theirs go nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from importlib.metadata import version
from typing import ClassVar, Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NoOpTracer, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["SpanKind", "headers", "note", "passed", "send_traces", "span"]
Fact = str | int | float
_open: Final[ContextVar[Span]] = ContextVar("open_span", default=trace.INVALID_SPAN)
_across: Final = TraceContextTextMapPropagator()
"""W3C's ``traceparent`` and ``tracestate`` alone: ``baggage`` is whatever a caller likes."""


class _Ours:
    tracer: ClassVar[Tracer] = NoOpTracer()


def send_traces(endpoint: str, *, role: str) -> None:
    """Send this process's spans to a collector; once, at the start of the process.

    Args:
        endpoint: of OTLP over gRPC, such as ``http://collector:4317``; ``https`` is encrypted.
        role: ``api`` or ``worker``.
    """
    told = {"service.name": "lethe", "service.version": version("lethe"), "lethe.role": role}
    provider = TracerProvider(resource=Resource(told))
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https:"))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _Ours.tracer = provider.get_tracer("lethe")


@contextmanager
def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    after: Mapping[str, str] | None = None,
    facts: Mapping[str, Fact] | None = None,
) -> Iterator[None]:
    """Trace what the block does.

    Args:
        name: constant.
        kind: whether it answers a call, makes one, or neither.
        after: headers of the call that led to it, from another process.
        facts: by their names in OpenTelemetry's conventions, or below ``lethe.``.
    """
    context = _across.extract(after) if after is not None else None
    with _Ours.tracer.start_as_current_span(
        name,
        context=context,
        kind=kind,
        attributes=facts,
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        token = _open.set(made)
        try:
            yield
        except BaseException as error:
            made.set_status(StatusCode.ERROR)
            made.set_attribute("error.type", type(error).__name__)
            raise
        finally:
            _open.reset(token)


def passed(name: str, *, seconds: float, until: datetime) -> None:
    """Trace what has taken so long."""
    end_ns = int(until.timestamp() * 1e9)
    _Ours.tracer.start_span(name, start_time=end_ns - int(seconds * 1e9)).end(end_ns)


def note(facts: Mapping[str, Fact], *, name: str | None = None) -> None:
    """Add facts to the span that is open, and give it a better name."""
    made = _open.get()
    made.set_attributes(dict(facts))
    if name is not None:
        made.update_name(name)


def headers() -> dict[str, str]:
    """Return what another process needs in order to go on with this trace; empty without one."""
    found: dict[str, str] = {}
    _across.inject(found)
    return found
