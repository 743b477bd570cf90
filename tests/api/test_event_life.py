"""The life of an event over HTTP: stored, corrected, left out of a batch, deleted."""

from __future__ import annotations

from urllib.parse import quote

import httpx2
import pytest

from tests.api.conftest import SERVICE, Api

EVENT = {
    "event_id": "e-1",
    "user": "eve",
    "item_id": "sea-01",
    "kind": "rating",
    "value": 5,
    "occurred_at": "2025-03-01T12:00:00Z",
}
NOTHING = {"accepted": 0, "duplicate": 0, "updated": 0, "refused": 0, "errors": []}


def post(api: Api, *events: object, on_error: str = "reject") -> httpx2.Response:
    return api.client.post(f"/interactions?on_error={on_error}", json=list(events), headers=SERVICE)


def history(api: Api, user: str) -> list[dict[str, object]]:
    answer = api.client.get(f"/users/{user}/export?embeddings=false", headers=SERVICE)
    interactions: list[dict[str, object]] = answer.json()["interactions"]
    return interactions


def test_the_new_value_is_held_when_an_event_is_sent_with_another_one(api: Api) -> None:
    event = EVENT | {"user": "corrected"}
    post(api, event)

    assert post(api, event | {"value": 1}).json() == NOTHING | {"updated": 1}

    assert [one["value"] for one in history(api, "corrected")] == [1]


def test_the_good_entries_are_taken_when_the_bad_ones_are_to_be_skipped(api: Api) -> None:
    good = EVENT | {"user": "mixed"}
    batch = [
        good | {"event_id": "a", "kind": "stare"},
        good | {"event_id": "b"},
        good | {"event_id": "c", "item_id": "atlantis"},
        good | {"event_id": "b"},
        7,
    ]

    assert post(api, *batch).status_code == 422
    assert history(api, "mixed") == []
    assert post(api, *batch, on_error="skip").json() == NOTHING | {
        "accepted": 1,
        "duplicate": 1,
        "refused": 3,
        "errors": [
            {"index": 0, "code": "invalid_input"},
            {"index": 2, "code": "unknown_item"},
            {"index": 3, "code": "duplicate"},
            {"index": 4, "code": "invalid_input"},
        ],
    }


def test_the_place_and_the_reason_are_told_when_the_user_has_objected(api: Api) -> None:
    api.client.put("/users/objector/objection", headers=SERVICE)

    told = post(api, EVENT | {"user": "objector"}).json()

    assert told == NOTHING | {"refused": 1, "errors": [{"index": 0, "code": "objection"}]}


def test_an_export_names_events_by_the_ids_they_were_sent_with_when_asked(api: Api) -> None:
    event = EVENT | {"user": "exported", "event_id": "order/7731"}
    post(api, event)
    post(api, event | {"value": 2})

    [told] = history(api, "exported")

    assert told["event_id"] == "order/7731"
    answer = api.client.delete(f"/users/exported/interactions/{told['event_id']}", headers=SERVICE)
    assert answer.status_code == 202
    assert history(api, "exported") == []


@pytest.mark.parametrize("event_id", ["e-1", "a/b", "a/", "2025.03.01", "100 %", "é"])
def test_an_event_is_forgotten_when_it_is_deleted_by_its_id(api: Api, event_id: str) -> None:
    user = "deleter-" + event_id.encode().hex()
    gone, stays = EVENT | {"user": user, "event_id": event_id}, EVENT | {"user": user}
    post(api, gone, stays | {"event_id": "another", "item_id": "sea-02"})

    path = f"/users/{user}/interactions/{quote(event_id)}"
    answer = api.client.delete(path, headers=SERVICE)

    assert answer.status_code == 202
    assert answer.json()["scope"] == "events"
    assert [one["item_id"] for one in history(api, user)] == ["sea-02"]
    assert post(api, gone).json()["errors"] == [{"index": 0, "code": "erased"}]
