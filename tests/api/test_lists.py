"""Lists over HTTP: by body, in batches, similar, popular, latest."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from app.domain.models import Item, ItemId
from tests.api.conftest import ADMIN, SERVICE, Api

WHERE = json.dumps({"subjects": "detective mystery"})
SEA = [f"sea-{number:02d}" for number in range(6)]


@pytest.fixture(scope="module", autouse=True)
def mariner(api: Api) -> None:
    api.world.read("mariner", SEA)


def post(api: Api, body: object, headers: dict[str, str] = SERVICE) -> Any:  # noqa: ANN401 - parsed JSON
    return api.client.post("/recommend", json=body, headers=headers)


def ids(answer: Any) -> list[str]:  # noqa: ANN401 - parsed JSON
    return [one["item_id"] for one in answer["items"]]


def test_a_list_by_body_is_the_one_by_address(api: Api) -> None:
    by_address = api.client.get("/recommend/mariner", params={"where": WHERE}, headers=SERVICE)
    by_body = post(api, {"user": "mariner", "where": json.loads(WHERE)})

    assert by_address.status_code == by_body.status_code == 200
    left_out = {"timings_ms": None, "cursor": None, "recommendation_id": None}
    assert by_body.json() | left_out == by_address.json() | left_out
    assert by_body.json()["matched"] == 20
    assert all(one.startswith("crime") for one in ids(by_body.json()))


def test_what_is_told_of_an_item_is_what_was_asked_for(api: Api) -> None:
    fields = ["title", "attributes.year", "attributes.none"]
    answer = post(api, {"query": "whales and storms", "n": 1, "fields": fields}).json()

    [one] = answer["items"]
    assert one["fields"] == {
        "title": one["title"],
        "attributes.year": 1900 + int(ids(answer)[0][-2:]),
    }
    assert one["source"] == "content"
    assert answer["user"] is None
    assert post(api, {"n": 1}).json()["items"][0]["fields"] is None


def test_pages_go_on_by_the_cursor(api: Api) -> None:
    first = post(api, {"user": "mariner", "n": 5}).json()
    second = post(api, {"user": "mariner", "n": 5, "cursor": first["cursor"]}).json()

    assert not set(ids(first)) & set(ids(second))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"where": {"colour": 1}}, "where.colour"),
        ({"where": []}, "where"),
        ({"where": {"year": {"$where": "1"}}}, "where.year.$where"),
        ({"n": 101}, "n"),
        ({"fields": ["price"]}, "fields.0"),
        ({"seen": ["looked"]}, "seen"),
        ({"scenario": "Front Page"}, "scenario"),
        ({"cursor": "x"}, "cursor"),
        ({"boost": [{"where": {}, "by": 11}]}, "boost.0.by"),
        ({"colour": 1}, ""),
    ],
)
def test_a_bad_request_is_told_by_its_place(api: Api, body: object, field: str) -> None:
    answer = post(api, body)

    assert answer.status_code == 422
    assert any(one["field"].startswith(field) for one in answer.json()["errors"])


@pytest.mark.parametrize("path", ["/recommend/mariner", "/popular", "/latest"])
def test_a_filter_that_is_no_json_is_refused(api: Api, path: str) -> None:
    answer = api.client.get(path, params={"where": "{year: 1"}, headers=SERVICE)

    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "where", "message": "is not JSON"}]


def test_a_user_s_token_asks_for_that_user_or_for_nobody(api: Api) -> None:
    token = api.user_token("mariner")

    assert post(api, {"user": "mariner"}, token).json()["personalised"]
    assert post(api, {"items": ["sea-01"]}, token).status_code == 200
    assert post(api, {"user": "someone else"}, token).status_code == 403
    assert post(api, {}, ADMIN).status_code == 403
    many = api.client.post("/recommend/batch", json=[{}], headers=token)
    assert many.status_code == 403


@pytest.mark.parametrize("distinct", [False, True])
def test_a_batch_is_answered_line_by_line(*, api: Api, distinct: bool) -> None:
    bodies = [{"user": "mariner", "n": 4}, {"user": "mariner", "n": 4}, {"where": {"colour": 1}}]
    lines = "\n".join(json.dumps(one) for one in bodies)

    answer = api.client.post(
        f"/recommend/batch?distinct={str(distinct).lower()}",
        content=lines,
        headers={**SERVICE, "Content-Type": "application/x-ndjson"},
    )

    first, second, third = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert (ids(first) == ids(second)) is not distinct
    assert bool(set(ids(first)) & set(ids(second))) is not distinct
    assert (third["status"], third["errors"][0]["field"]) == (422, "where.colour")


def test_a_batch_of_which_one_entry_is_wrong_is_refused(api: Api) -> None:
    answer = api.client.post("/recommend/batch", json=[{}, {"n": 0}], headers=SERVICE)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "requests.1.n"


@pytest.mark.parametrize("by", ["behaviour", "content", "both"])
def test_similar_items_are_of_the_same_taste_and_pass_the_filter(api: Api, by: str) -> None:
    def similar(**params: str) -> Any:  # noqa: ANN401 - parsed JSON
        asked = {"by": by, "n": "60"} | params
        return api.client.get("/items/sea-01/similar", params=asked, headers=SERVICE).json()

    whole, filtered = similar(), similar(where=json.dumps({"year": {"$lt": 1910}}))

    assert all(one.startswith("sea") for one in ids(whole)[:8])
    assert "sea-01" not in ids(whole)
    old = [one for one in ids(whole) if not one.startswith("new") and int(one[-2:]) < 10]
    assert ids(filtered) == old
    assert filtered["matched"] == 30
    assert ids(whole)[0] not in ids(similar(exclude=ids(whole)[0]))


def test_nothing_is_similar_to_an_item_that_is_not_there(api: Api) -> None:
    answer = api.client.get("/items/nowhere/similar", headers=SERVICE)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_popular_counts_people_in_the_period_that_is_asked_for(api: Api) -> None:
    now = api.world.clock.now()
    api.world.read("today-1", ["stars-13"], at=now)
    api.world.read("today-2", ["stars-13", "crime-13"], at=now - timedelta(days=2))

    def popular(**params: str | int) -> Any:  # noqa: ANN401 - parsed JSON
        return api.client.get("/popular", params=params, headers=SERVICE).json()

    assert popular()["items"]
    assert "stars-13" not in ids(popular(n=3))
    assert ids(popular(period="3d")) == ["stars-13", "crime-13"]
    assert ids(popular(period="1h")) == ["stars-13"]
    assert ids(popular(period="3d", where=WHERE)) == ["crime-13"]
    assert all(one.startswith("crime") for one in ids(popular(where=WHERE)))


def test_an_erased_user_counts_in_no_period(api: Api) -> None:
    api.world.read("gone", ["stars-12"], at=api.world.clock.now())
    params = {"period": "1h", "where": json.dumps({"item_id": "stars-12"})}
    before = api.client.get("/popular", params=params, headers=SERVICE).json()

    body = {"user": "gone", "scope": {"kind": "all"}}
    assert api.client.post("/forget", json=body, headers=SERVICE).status_code == 202

    after = api.client.get("/popular", params=params, headers=SERVICE).json()
    assert (ids(before), ids(after)) == (["stars-12"], [])


def test_the_latest_are_those_changed_last(api: Api) -> None:
    api.world.container.catalogue.upsert([Item(ItemId("new-1"), "New one")])
    api.world.container.catalogue.upsert([Item(ItemId("new-2"), "New two")])

    latest = api.client.get("/latest", params={"n": 2}, headers=SERVICE).json()
    filtered = api.client.get("/latest", params={"n": 3, "where": WHERE}, headers=SERVICE).json()

    assert ids(latest) == ["new-2", "new-1"]
    assert (len(ids(filtered)), filtered["matched"]) == (3, 20)
