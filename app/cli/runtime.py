"""The service put together for one command. Heavy: only a command that needs it imports it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.bootstrap import Runtime, build
from app.bootstrap.database import prepare_database
from app.cli.loading import load_dataset
from app.observability import configure_logging
from app.ports.dataset import DatasetKind
from app.settings import Settings, load_settings


@contextmanager
def open_runtime(data_dir: Path | None) -> Iterator[Runtime]:
    """Put the service together for one command, quiet but for warnings."""
    settings = load_settings(data_dir=data_dir)
    with runtime_of(settings) as runtime:
        yield runtime


@contextmanager
def runtime_of(settings: Settings) -> Iterator[Runtime]:
    """Do the same with settings that are read already."""
    configure_logging(level="warning", is_json=False, is_strict=not settings.is_production)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)  # standard output is the command's result
    prepare_database(settings)
    with build(settings) as runtime:
        yield runtime


def load_demo(settings: Settings) -> None:
    """Load the demo set, unless there is a catalogue already."""
    with runtime_of(settings) as runtime:
        if not runtime.container.catalogue.count():
            load_dataset(runtime.container.load.load, kind=DatasetKind.DEMO, path=None)
