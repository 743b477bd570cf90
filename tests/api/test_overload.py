"""Whoever comes to a process that has too much to do is told so at once, with when to come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app.api.middleware import Overload
from tests.loops import run

MOST: Final = 2


class Slow:
    """An application that answers nothing until it is let go."""

    def __init__(self) -> None:
        self.may_go = asyncio.Event()
        self.inside: asyncio.Queue[str] = asyncio.Queue()

    async def answer(self, request: Request) -> PlainTextResponse:
        self.inside.put_nowait(request.url.path)
        await self.may_go.wait()
        return PlainTextResponse("done")


@asynccontextmanager
async def busy() -> AsyncIterator[tuple[Slow, httpx.AsyncClient, list[asyncio.Task[int]]]]:
    """Give an application with as many requests under way as it takes."""
    slow = Slow()
    route = Route("/{path:path}", slow.answer, methods=["GET", "POST"])
    app = Overload(Starlette(routes=[route]), most=MOST)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://any"
    ) as client:

        async def ask() -> int:
            return (await client.get("/recommend/anna")).status_code

        under_way = [asyncio.create_task(ask()) for _ in range(MOST)]
        for _ in range(MOST):
            await slow.inside.get()
        yield slow, client, under_way
        slow.may_go.set()
        await asyncio.gather(*under_way)


def test_one_more_than_can_be_under_way_is_told_when_to_come_back() -> None:
    async def check() -> httpx.Response:
        async with busy() as (_, client, _under_way):
            return await client.get("/recommend/ben")

    answer = run(check())

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "overloaded"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/forget", "/forget/preview"])
def test_probes_and_wishes_to_be_forgotten_are_let_through(path: str) -> None:
    async def check() -> int:
        async with busy() as (slow, client, _):
            asked = asyncio.create_task(client.post(path))
            assert await slow.inside.get() == path
            slow.may_go.set()
            return (await asked).status_code

    assert run(check()) == 200


def test_who_comes_back_later_is_answered() -> None:
    async def check() -> tuple[list[int], int]:
        async with busy() as (slow, client, under_way):
            assert (await client.get("/recommend/ben")).status_code == 503
            slow.may_go.set()
            before = await asyncio.gather(*under_way)
            return before, (await client.get("/recommend/ben")).status_code

    assert run(check()) == ([200, 200], 200)
