"""A real Chromium, without a screen and without calls home."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from tests.servers import ServerMissingError

_FLAGS: Final = (
    "--no-sandbox",  # tests may run as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


_START_TIMEOUT_MS: Final = 120_000
"""Beside a model and databases that start, on two cores, half a minute was not always enough."""


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Run Chromium until the block ends.

    Raises:
        ServerMissingError: there is none.
    """
    path = shutil.which("chromium")
    if path is None:
        raise ServerMissingError("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=_FLAGS, timeout=_START_TIMEOUT_MS
        )
        try:
            yield browser
        finally:
            browser.close()
