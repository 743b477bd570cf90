"""Real servers for tests: one that answers already, else one started from its binary.

No other place starts one. What cannot be had raises ``ServerMissingError``, which
``tests/conftest.py`` turns into a skip that says what is missing, or under
``LETHE_REQUIRE_SERVICES=1`` into a failure, so that a green run there has tested everything.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class ServerMissingError(Exception):
    """A server is missing and cannot be started; the message says what to install or set."""


@contextmanager
def missing_server_is_a_skip() -> Iterator[None]:
    """Skip the test because a server is missing, or fail it where all servers are required."""
    try:
        yield
    except ServerMissingError as missing:
        if os.environ.get("LETHE_REQUIRE_SERVICES") == "1":
            pytest.fail(f"required: {missing}", pytrace=False)
        pytest.skip(str(missing))


def require_programs(*names: str) -> None:
    """Let a test go on only where these programs are on ``PATH``.

    Raises:
        ServerMissingError: one is not installed.
    """
    for name in names:
        if shutil.which(name) is None:
            raise ServerMissingError(f"{name} is not installed")


def beyond_path(candidates: Iterable[Path]) -> Path | None:
    """Return the first of these programs that is there; None for none.

    Whoever looks beyond ``PATH`` asks here: under ``LETHE_TEST_PATH_ONLY=1`` nothing is found, so
    that a machine that has everything can be tested as if it had nothing.
    """
    if os.environ.get("LETHE_TEST_PATH_ONLY") == "1":
        return None
    return next((path for path in candidates if path.is_file()), None)
