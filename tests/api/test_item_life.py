"""The life of an item over HTTP: put, read, hidden, deleted, whatever its id looks like."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.api.conftest import SERVICE, Api

IDS = ["plain", "a/b", "a/b/similar", "1.0", "...", "ä ö", "50 %", "?q=1&r", "#2"]


def put(api: Api, item_id: str, **facts: object) -> None:
    item = {"item_id": item_id, "title": f"Title of {item_id}"} | facts
    assert api.client.post("/items", json=[item], headers=SERVICE).status_code == 200


@pytest.mark.parametrize("item_id", [one for one in IDS if not one.endswith("/similar")])
def test_an_item_is_put_read_and_deleted_when_its_id_has_odd_characters(
    api: Api, item_id: str
) -> None:
    path = f"/items/{quote(item_id)}"
    body = {"title": "First", "attributes": {"price": 3}, "available": False}

    assert api.client.put(path, json=body, headers=SERVICE).json()["changed"] == 1

    told = api.client.get(path, headers=SERVICE).json()
    assert told == {"item_id": item_id, "description": "", **body}
    assert api.client.delete(path, headers=SERVICE).status_code == 204
    assert api.client.get(path, headers=SERVICE).status_code == 404
    assert api.client.delete(path, headers=SERVICE).status_code == 404


@pytest.mark.parametrize("item_id", [*IDS, ".", ".."])
def test_any_id_works_when_it_is_sent_as_a_parameter(api: Api, item_id: str) -> None:
    put(api, item_id)
    asked = {"item_id": item_id}

    page = api.client.get("/items", params=asked, headers=SERVICE).json()

    assert [one["item_id"] for one in page["items"]] == [item_id]
    assert api.client.delete("/items", params=asked, headers=SERVICE).status_code == 204
    assert api.client.get("/items", params=asked, headers=SERVICE).json()["items"] == []


def test_every_item_is_listed_once_when_the_pages_are_followed(api: Api) -> None:
    put(api, "hidden", available=False)
    found: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = api.client.get("/items", params={"limit": "7"} | after, headers=SERVICE).json()
        found += [one["item_id"] for one in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}

    assert found == sorted(set(found))
    assert {"hidden", "sea-00", "stars-19"} <= set(found)
    with api.world.adapters.uows.read() as uow:
        assert len(found) == uow.items.count()


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after=", "item_id="])
def test_a_bad_page_is_refused_by_name_when_it_is_asked_for(api: Api, query: str) -> None:
    answer = api.client.get(f"/items?{query}", headers=SERVICE)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith(query.partition("=")[0])


def test_whether_an_item_is_available_has_to_be_true_or_false_when_told(api: Api) -> None:
    item = {"item_id": "x", "title": "t", "available": "maybe"}
    answer = api.client.post("/items", json=[item], headers=SERVICE)

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "items.0.available", "message": "must be true or false"}
    ]
