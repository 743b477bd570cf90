"""The one place that knows every concrete class: settings in, a running service out."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import structlog

from app.adapters.db.uow import SqlUnitsOfWork
from app.adapters.llm.pool import RankerPool
from app.adapters.queue.celery import queue_of
from app.adapters.queue.inline import InlineQueue
from app.api.state import Limits, Security, Sender, State
from app.api.user_tokens import KeySet, UserTokens
from app.bootstrap.adapters import Adapters
from app.bootstrap.chroma import chroma_directory
from app.bootstrap.llm import watch_llm
from app.bootstrap.metrics import (
    watch_answers,
    watch_erasure,
    watch_process,
    watch_queue,
    watch_requests,
)
from app.bootstrap.services import container_of
from app.container import Container
from app.observability import Metrics
from app.settings import Settings

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Runtime:
    """A service that is put together and ready to be started.

    Args:
        inline: the queue of the embedded mode, None where Celery works.
        llm: the LLM servers, None where there is none.
    """

    container: Container
    settings: Settings
    metrics: Metrics
    inline: InlineQueue | None
    llm: RankerPool | None
    _adapters: Adapters
    _stack: ExitStack

    def close(self) -> None:
        """Release connections, files and the lock."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def state(self) -> State:
        """Return what the web application needs."""
        auth, api = self.settings.auth, self.settings.api
        return State(
            container=self.container,
            security=Security(
                service_token=auth.service_token.get_secret_value(),
                admin_token=auth.admin_token.get_secret_value(),
                users=UserTokens(
                    public_key=auth.jwt_public_key,
                    keys=KeySet(auth.jwks_url, clock=self._adapters.clock)
                    if auth.jwks_url
                    else None,
                    issuer=auth.jwt_issuer,
                    audience=auth.jwt_audience,
                    max_life_s=auth.jwt_max_life_s,
                ),
            ),
            limits=Limits(
                max_body_bytes=api.max_body_bytes,
                max_batch=api.max_batch,
                public_url=self.settings.api.public_url,
                future_skew=timedelta(seconds=api.future_skew_s),
            ),
            metrics=self.metrics,
            sender=Sender(**self.settings.letters.model_dump()),
        )


def _sum_up_connections(uows: SqlUnitsOfWork, *, n_processes: int) -> None:
    """Tell of an API that alone may ask for more connections than the server takes."""
    found = uows.connections()
    most = n_processes * found["most"]
    if most > found.get("server", most):
        _log.warning("connections_could_run_out", most=most, server=found["server"])


def build(settings: Settings, *, is_worker: bool = False) -> Runtime:
    """Put the service together; nothing runs yet.

    Args:
        settings: decide of what.
        is_worker: whether ``serve_node`` runs beside this process, as it does in each worker.

    Raises:
        ConflictError: another process uses the data directory.
        SettingsError: the settings contradict each other.
        DependencyUnavailableError: Chroma or Redis does not answer.
        IntegrityError: stored vectors are another embedder's, or Redis evicts.
    """
    with ExitStack() as stack:
        adapters = Adapters(settings, stack, is_worker=is_worker)
        metrics = Metrics()
        container = container_of(adapters, metrics)
        watch_answers(metrics, adapters.uows)
        watch_erasure(metrics, adapters.uows, directory=chroma_directory(settings))
        watch_process(metrics, adapters.uows, feed=container.feed)
        _sum_up_connections(adapters.uows, n_processes=settings.web_concurrency)
        watch_requests(metrics, adapters.uows, clock=adapters.clock)
        if adapters.redis is not None:
            queue = queue_of(settings.chroma.node)
            watch_queue(metrics, adapters.redis, queue=queue, clock=adapters.clock)
        if adapters.llm is not None:
            watch_llm(
                metrics,
                adapters.llm.ranker,
                answers=adapters.llm_answers,
                reading=container.reading,
            )
        return Runtime(
            container=container,
            settings=settings,
            metrics=metrics,
            inline=adapters.inline,
            llm=None if adapters.llm is None else adapters.llm.ranker,
            _adapters=adapters,
            _stack=stack.pop_all(),
        )
