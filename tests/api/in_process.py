"""The service in this process, as an ``httpx`` client of the real application."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from fastapi.testclient import TestClient

from app.domain.models import RequestId
from tests.world import World

URL = "http://lethe.test"


@dataclass
class InProcess(httpx.BaseTransport):
    """Hands requests to the application; asking how far an erasure is lets a worker do it first.

    Args:
        instead: answers that come before the application is asked, each once.
    """

    app: TestClient
    world: World
    instead: list[Callable[[httpx.Request], httpx.Response]] = field(default_factory=list)
    seen: list[httpx.Request] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        content = request.read()
        self.seen.append(request)
        if self.instead:
            return self.instead.pop(0)(request)
        path = request.url.raw_path.decode()
        if request.method == "GET" and path.startswith("/forget/"):
            self.world.erase(RequestId(path.removeprefix("/forget/")))
        own = {name: value for name, value in request.headers.items() if name != "host"}
        answer = self.app.request(request.method, path, content=content, headers=own)
        return httpx.Response(
            answer.status_code, headers=dict(answer.headers), content=answer.content
        )


@contextmanager
def connected(transport: InProcess) -> Iterator[httpx.Client]:
    """Open a client over the application."""
    with httpx.Client(base_url=URL, transport=transport) as client:
        yield client
