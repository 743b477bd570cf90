"""Sends what is told of requests to an address outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class WebhookSender(Protocol):
    """Posts one body to one address."""

    def send(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> None:
        """Post; the answer's content is not read.

        Raises:
            DependencyUnavailableError: it does not answer, answers with an error, or lies at an
                address that nothing is sent to.
        """
