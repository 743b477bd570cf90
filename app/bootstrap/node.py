"""What a worker does beside its erasures: the work on its node's files that is asked for."""

from __future__ import annotations

from typing import Final

import redis

from app.adapters.probe.by_queue import NodeFiles
from app.adapters.probe.process import StayingProcess
from app.adapters.queue.inline import PeriodicTask
from app.bootstrap.adapters import broker_url
from app.bootstrap.chroma import chroma_directory, chroma_store
from app.domain.privacy.pseudonyms import Identity
from app.settings import Settings, load_pepper

_PAUSE_S: Final = 0.25
"""Between two looks, so that a broker that is down is not asked without end."""


def serve_node(settings: Settings) -> PeriodicTask | None:
    """Start a thread that cleans and searches this node's files when asked; return it.

    None where the files are not within reach. One thread, for what comes meanwhile is then done
    together; it waits for a process, and Celery's own work goes on beside it.
    """
    directory = chroma_directory(settings)
    if directory is None or not settings.chroma.servers:
        return None
    files = NodeFiles(
        settings.chroma.node,
        redis.Redis.from_url(broker_url(settings), socket_timeout=5.0),
        files=StayingProcess(directory, stores=chroma_store(settings)),
        key=Identity(load_pepper(settings)).search_key(),
    )
    task = PeriodicTask("node-files", files.serve, interval_s=_PAUSE_S)
    task.start()
    return task
