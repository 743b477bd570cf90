"""``/users/{user}/…``: export, restriction, objection."""

from __future__ import annotations

import pytest

from tests.api.conftest import ADMIN, SERVICE, Api

BOOKS = ["sea-01", "sea-02", "sea-03"]


def test_a_restriction_is_put_told_and_lifted(api: Api) -> None:
    api.world.read("thoughtful", BOOKS)
    token = api.user_token("thoughtful")

    put = api.client.put("/users/thoughtful/restriction", headers=token)
    told = api.client.get("/users/thoughtful/rights", headers=token)
    answer = api.client.get("/recommend/thoughtful", headers=token).json()
    lifted = api.client.delete("/users/thoughtful/restriction", headers=token)

    assert put.json() == told.json() == {"restriction": True, "objection": False}
    assert answer["personalised"] is False
    assert lifted.json() == {"restriction": False, "objection": False}
    assert api.client.get("/recommend/thoughtful", headers=token).json()["personalised"] is True


def test_the_export_is_everything_and_says_what_it_is_for(api: Api) -> None:
    api.world.read("exported", BOOKS, text="read at night")
    topic = {"user": "exported", "scope": {"kind": "topic", "text": "Rockets"}}
    api.client.post("/forget", json=topic, headers=SERVICE)
    api.client.put("/users/exported/objection", headers=SERVICE)

    export = api.client.get("/users/exported/export", headers=api.user_token("exported")).json()
    answer = api.client.get("/users/exported/export?embeddings=false", headers=SERVICE)
    short = answer.json()
    assert answer.headers["cache-control"] == "no-store"

    assert export["format"] == "lethe-export/v1"
    assert [one["item_id"] for one in export["interactions"]] == BOOKS[::-1]
    assert export["interactions"][0]["title"] == "Whale voyage 3"
    assert len(export["interactions"][0]["embedding"]) == api.world.adapters.embedder.dim
    assert export["rights"] == {"restriction": False, "objection": True}
    assert [one["text"] for one in export["unwanted_topics"]] == ["Rockets"]
    assert [one["scope"] for one in export["erasure_requests"]] == ["topic"]
    assert {"purposes", "recipients", "retention", "rights"} <= set(export["about"])
    assert short["interactions"][0]["embedding"] is None


def test_somebody_unknown_is_told_so(api: Api) -> None:
    export = api.client.get("/users/no-one-yet/export", headers=SERVICE).json()

    assert (export["is_known"], export["epoch"], export["interactions"]) == (False, 0, [])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users/ada/export"),
        ("GET", "/users/ada/rights"),
        ("PUT", "/users/ada/restriction"),
        ("DELETE", "/users/ada/objection"),
    ],
)
def test_everybody_may_do_it_for_themselves_only(api: Api, method: str, path: str) -> None:
    for headers, status in (({}, 401), (ADMIN, 403), (api.user_token("bob"), 403)):
        assert api.client.request(method, path, headers=headers).status_code == status
    assert api.client.request(method, path, headers=api.user_token("ada")).status_code == 200


def test_there_is_no_other_right(api: Api) -> None:
    assert api.client.put("/users/ada/oblivion", headers=SERVICE).status_code == 422
