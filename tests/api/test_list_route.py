"""`GET /recommend/{user}` is called past FastAPI's own way, and answers as that would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.api import recommend
from app.api.application import create_app
from app.api.bodies import BodyRoute
from app.domain.errors import ConflictError
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
def plain(api: Api) -> Iterator[TestClient]:
    """The same application with FastAPI's own way for every route."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recommend.ListRoute, "get_route_handler", BodyRoute.get_route_handler)
        state = cast("FastAPI", api.client.app).state.lethe
        client = TestClient(create_app(state), raise_server_exceptions=False)
        client.get("/recommend/ada", headers=SERVICE)  # routes are made by the first request
        yield client


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_read_as_fastapi_reads_it(api: Api, plain: TestClient, address: str) -> None:
    ours, theirs = (
        one.get(f"/recommend/{address}", headers=SERVICE) for one in (api.client, plain)
    )

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


def test_nobody_waits_for_an_answer_that_was_sent_or_failed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        api.world.read("ada", [f"sea-{number:02d}"])
    in_flight = vars(api.world.container.recommend)["_traffic"].in_flight
    ada = api.world.user("ada")

    assert api.client.get("/recommend/ada", headers=SERVICE).json()["personalised"]
    assert in_flight.wait(ada, patience_s=0.0)

    def fails(*_: object, **__: object) -> None:
        assert not in_flight.wait(ada, patience_s=0.0)
        raise ConflictError("too late")

    monkeypatch.setattr(recommend.RecommendationOut, "from_domain", fails)
    assert api.client.get("/recommend/ada", headers=SERVICE).status_code == 409
    assert in_flight.wait(ada, patience_s=0.0)
