"""The Celery application of the workers: ``celery -A workers.celery_app:app worker --beat``."""

from __future__ import annotations

from typing import Final

from celery import signals

from app.bootstrap.adapters import celery_of
from app.bootstrap.node import serve_node
from app.observability import Metrics, configure_logging
from app.settings import load_settings
from workers.tasks import register

_settings: Final = load_settings()
app: Final = celery_of(_settings)
register(app, _settings)


@signals.worker_ready.connect  # type: ignore[untyped-decorator] # Celery has no types
@signals.beat_init.connect  # type: ignore[untyped-decorator] # the same
def _show_metrics(**_: object) -> None:
    if _settings.api.metrics_port is not None:
        Metrics().serve(_settings.api.metrics_port)


@signals.worker_ready.connect  # type: ignore[untyped-decorator] # Celery has no types
def _serve_node(**_: object) -> None:
    serve_node(_settings)


@signals.setup_logging.connect  # type: ignore[untyped-decorator] # Celery has no types
def _log_as_we_do(**_: object) -> None:
    configure_logging(
        level=_settings.log.level,
        is_json=_settings.is_log_json,
        is_strict=not _settings.is_production,
    )
