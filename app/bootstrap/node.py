"""What a worker does beside its erasures: the work on its node's files that others ask for."""

from __future__ import annotations

from functools import partial
from typing import Final

import redis

from app.adapters.chroma.maintenance_process import clean_files
from app.adapters.probe.by_queue import NodeFiles
from app.adapters.probe.process import FileProbe
from app.adapters.queue.inline import PeriodicTask
from app.bootstrap.adapters import broker_url
from app.bootstrap.chroma import chroma_directory, chroma_store
from app.domain.privacy.pseudonyms import Identity
from app.settings import Settings, load_pepper

_AT_ONCE: Final = 2
"""Tasks of others at once; cleaning and searching the files take turns by a lock of theirs."""
_PAUSE_S: Final = 0.25
"""Between two looks of a second each, so that a broker that is down is not asked without end."""


def serve_node(settings: Settings) -> list[PeriodicTask]:
    """Start threads that clean and search this node's files when asked; return them.

    None where the files are not within reach.
    """
    directory = chroma_directory(settings)
    if directory is None or not settings.chroma.servers:
        return []
    files = NodeFiles(
        settings.chroma.node,
        redis.Redis.from_url(broker_url(settings), socket_timeout=5.0),
        probe=FileProbe(chroma_store(settings)),
        clean=partial(clean_files, directory),
        key=Identity(load_pepper(settings)).search_key(),
    )
    tasks = [
        PeriodicTask(f"node-files-{number}", files.serve, interval_s=_PAUSE_S)
        for number in range(_AT_ONCE)
    ]
    for task in tasks:
        task.start()
    return tasks
