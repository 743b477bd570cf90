"""Logging as it was, after a test that has it configured."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Undo ``configure_logging``, or tests after this one see only what it lets through."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)
