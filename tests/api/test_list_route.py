"""`GET /recommend/{user}` is called past FastAPI's own way, and answers as that would."""

from __future__ import annotations

import asyncio
import json
from typing import cast

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message

from app.api import recommend
from app.api.bodies import BodyRoute
from app.api.errors import add_error_handlers
from app.api.openapi import require_declared
from app.api.state import require_restored
from tests.api.conftest import SERVICE, Api

ADDRESSES = (
    "ada?n=3",
    "ada?n=3&n=4",
    "ada?n=0",
    "ada?n=",
    "ada?n=x&strategy=y&explain=perhaps",
    "ada?exclude=sea-00&exclude=sea-01&exclude=none",
    "ada?exclude=%20a&exclude=b%00",
    "ada?exclude=",
    "%20ada?n=101&personalise=no",
    "a%00b",
    "ada?where=x",
    'ada?where={"pages":{"$lt":1}}',
    "ada?explian=true&n=0",
    "a/b?n=2",
    "e%CC%81mile?n=1",
)
MADE_ANEW = ("cursor", "recommendation_id", "timings_ms")


@pytest.fixture(scope="module")
def plain(api: Api) -> TestClient:
    """The same function as a route that FastAPI calls in its own way."""
    app = FastAPI()
    app.state.lethe = _app(api).state.lethe
    add_error_handlers(app)
    router = APIRouter(route_class=BodyRoute, dependencies=[Depends(require_restored)])
    router.add_api_route("/plain/{user:path}", recommend.recommend)
    app.include_router(router, dependencies=[Depends(require_declared)])
    return TestClient(app, raise_server_exceptions=False)


def _app(api: Api) -> FastAPI:
    return cast("FastAPI", api.client.app)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_read_as_fastapi_reads_it(api: Api, plain: TestClient, address: str) -> None:
    ours = api.client.get(f"/recommend/{address}", headers=SERVICE)
    theirs = plain.get(f"/plain/{address}", headers=SERVICE)

    told, expected = ours.json(), theirs.json()
    for name in MADE_ANEW:
        assert (name in told) == (name in expected)
        told.pop(name, None), expected.pop(name, None)
    assert (ours.status_code, told) == (theirs.status_code, expected)
    assert ours.headers["content-type"] == theirs.headers["content-type"]


def test_every_dependency_that_is_declared_is_one_that_is_called() -> None:
    """A new one has to be added to the handler by hand."""
    [route] = [one for one in recommend.router.routes if isinstance(one, recommend.ListRoute)]
    calls = [one.call for one in route.dependant.dependencies]
    names = {getattr(one, "__name__", type(one).__name__) for one in calls}

    assert names == {"_departing", "_state", "require_restored", "Require"}


def test_a_forget_waits_for_an_answer_until_it_is_sent(api: Api) -> None:
    for number in range(3):
        api.world.read("ada", [f"sea-{number:02d}"])
    in_flight = vars(api.world.container.recommend)["_traffic"].in_flight
    ada, has_left = api.world.user("ada"), []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            has_left.append(in_flight.wait(ada, patience_s=0.0))
            assert json.loads(message["body"])["personalised"]

    headers = [(name.lower().encode(), value.encode()) for name, value in SERVICE.items()]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/recommend/ada",
        "query_string": b"",
        "headers": headers,
        "client": ("testclient", 50000),
    }
    asyncio.run(_app(api)(scope, receive, send))

    assert has_left == [False]
    assert in_flight.wait(ada, patience_s=0.0)
