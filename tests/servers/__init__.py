"""Real servers for tests: one that answers already, else one started from its binary.

One policy for all of them. What cannot be had is skipped with a line that says what is missing,
or fails under ``LETHE_REQUIRE_SERVICES=1``, so that a green run there has tested everything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

import pytest

Server = TypeVar("Server")


class ServerMissingError(Exception):
    """No server answers and none can be started; the message says what to install or set."""


@contextmanager
def service_or_skip(
    name: str,
    start: AbstractContextManager[Server],
    *,
    missing: type[Exception] = ServerMissingError,
) -> Iterator[Server]:
    """Give what ``start`` gives; skip, or fail where services are required, when it is missing.

    Args:
        name: for the line in the report.
        start: entered here and left when the block ends.
        missing: what ``start`` raises on entering when the server cannot be had; anything else
            is an error of the server and fails.
    """
    with ExitStack() as stack:
        try:
            server = stack.enter_context(start)
        except missing as error:
            if os.environ.get("LETHE_REQUIRE_SERVICES") == "1":
                pytest.fail(f"{name} is required: {error}", pytrace=False)
            pytest.skip(f"{name} is missing: {error}")
        yield server
