from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx2
import pytest

from tests.api.conftest import ADMIN, SERVICE, Api

EVENT = {
    "event_id": "e-1",
    "user": "ada@example.org",
    "item_id": "sea-01",
    "kind": "rating",
    "value": 5,
    "occurred_at": "2025-03-01T12:00:00Z",
}


def post_events(api: Api, *events: dict[str, object]) -> httpx2.Response:
    return api.client.post("/interactions", json=list(events), headers=SERVICE)


def test_recommend_tells_items_reasons_and_how(api: Api) -> None:
    for number in range(4):
        post_events(api, EVENT | {"event_id": f"r{number}", "item_id": f"sea-0{number}"})

    answer = api.client.get("/recommend/ada@example.org?n=5", headers=SERVICE).json()

    assert answer["user"] == "ada@example.org"
    assert answer["ranked_by"] == "retrieval"
    assert answer["personalised"] is True
    assert answer["degraded"] is False
    assert len(answer["items"]) == 5
    told = {"item_id", "title", "score", "because", "reason", "source", "fields"}
    assert told == set(answer["items"][0])
    assert answer["timings_ms"]["total"] > 0
    assert answer["regime"] == "history"
    assert answer["form"] is None
    assert answer["prompt_id"] is None


def test_recommend_refuses_a_parameter_it_does_not_know(api: Api) -> None:
    answer = api.client.get("/recommend/ada@example.org?explian=true", headers=SERVICE)

    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "query", "message": "holds an unknown field"}]


def test_an_unknown_user_gets_200_and_the_popular_list(api: Api) -> None:
    answer = api.client.get("/recommend/nobody", headers=SERVICE)

    assert answer.status_code == 200
    assert answer.json()["personalised"] is False
    assert answer.json()["ranked_by"] == "popularity"
    assert answer.json()["regime"] == "stranger"


def test_a_batch_tells_accepted_duplicate_and_refused(api: Api) -> None:
    event = EVENT | {"user": "bob"}

    first = post_events(api, event, event | {"event_id": "e-2", "item_id": "sea-02"})
    second = post_events(api, event)

    nothing = {"accepted": 0, "duplicate": 0, "updated": 0, "refused": 0, "errors": []}
    known = [{"index": 0, "code": "duplicate"}]
    assert first.json() == nothing | {"accepted": 2}
    assert second.json() == nothing | {"duplicate": 1, "errors": known}


def test_ndjson_is_read_line_by_line(api: Api) -> None:
    lines = "\n".join(json.dumps(EVENT | {"user": "nd", "event_id": str(i)}) for i in range(3))

    answer = api.client.post(
        "/interactions",
        content=lines + "\n\n",
        headers=SERVICE | {"Content-Type": "application/x-ndjson"},
    )

    assert answer.json()["accepted"] == 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"event_id": ""}, "interactions.0.event_id"),
        ({"user": None}, "interactions.0.user"),
        ({"user": "x" * 257}, "interactions.0.user"),
        ({"user": "nul\x00"}, "interactions.0.user"),
        ({"item_id": None}, "interactions.0.item_id"),
        ({"item_id": "atlantis"}, "interactions.0.item_id"),
        ({"kind": "stare"}, "interactions.0.kind"),
        ({"value": None}, "interactions.0.value"),
        ({"value": True}, "interactions.0.value"),
        ({"value": 1e9}, "interactions.0.value"),
        ({"occurred_at": "yesterday"}, "interactions.0.occurred_at"),
        ({"occurred_at": "2025-03-01T12:00:00"}, "interactions.0.occurred_at"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "interactions.0.occurred_at"),
        ({"kind": "note", "item_id": None, "value": None}, "interactions.0.text"),
        ({"text": "x" * 8_193}, "interactions.0.text"),
        ({"colour": "red"}, "interactions.0"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(
    api: Api, change: dict[str, object], field: str
) -> None:
    user = {"user": "wrong-one"}
    bad = post_events(api, EVENT | user | change, EVENT | user | {"event_id": "good"})

    assert bad.status_code == 422
    assert bad.headers["content-type"] == "application/problem+json"
    assert field in [one["field"] for one in bad.json()["errors"]]
    with api.world.adapters.uows.read() as uow:
        assert uow.interactions.history(api.world.user("wrong-one")) == []


def test_every_wrong_entry_of_a_batch_is_named(api: Api) -> None:
    bad = post_events(api, EVENT | {"kind": "x"}, EVENT, EVENT | {"value": "five"})

    fields = {one["field"] for one in bad.json()["errors"]}
    assert fields == {"interactions.0.kind", "interactions.2.value"}


@pytest.mark.parametrize(
    ("body", "media_type", "says"),
    [
        (b"[{", "application/json", "line 1"),
        (b"{}", "application/json", "must be a JSON array"),
        (b"[]", "application/json", "holds no entry"),
        (b"[" * 50_000, "application/json", ""),
        (b"\xff\xfe", "application/x-ndjson", "line 1"),
        (b"{}\n{", "application/x-ndjson", "line 2"),
        (b"[]", "text/plain", "application/json"),
        (json.dumps([EVENT] * 51).encode(), "application/json", "more than 50"),
    ],
)
def test_a_body_that_is_no_batch_is_422(api: Api, body: bytes, media_type: str, says: str) -> None:
    answer = api.client.post(
        "/interactions", content=body, headers=SERVICE | {"Content-Type": media_type}
    )

    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_a_body_over_the_limit_is_413(api: Api) -> None:
    answer = api.client.post("/items", content=b"[" + b" " * 100_001, headers=SERVICE)

    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"


def test_no_error_repeats_a_user_id(api: Api) -> None:
    marked = EVENT | {"user": "canary-user", "event_id": "canary-event", "text": "canary-text"}
    answers = [
        post_events(api, marked | {"value": "x"}),
        post_events(api, marked | {"item_id": "atlantis"}),
        api.client.get("/recommend/canary-user?n=1000", headers=SERVICE),
        api.client.post(
            "/forget", json={"user": "canary-user", "scope": {"kind": "x"}}, headers=SERVICE
        ),
        api.client.get("/recommend/canary-user", headers=api.user_token("someone-else")),
    ]

    assert {answer.status_code for answer in answers} == {422, 403}
    assert not [answer.text for answer in answers if "canary" in answer.text]


def test_put_item_takes_its_id_from_the_address(api: Api) -> None:
    body = {"title": "A new book", "attributes": {"year": 1920}}

    first = api.client.put("/items/new-1", json=body, headers=SERVICE)
    again = api.client.put("/items/new-1", json=body, headers=SERVICE)
    other = api.client.put("/items/new-1", json=body | {"item_id": "new-2"}, headers=SERVICE)

    assert first.json() == {"received": 1, "changed": 1}
    assert again.json() == {"received": 1, "changed": 0}
    assert other.status_code == 422


def test_forget_answers_202_with_a_receipt_and_a_status(api: Api) -> None:
    post_events(api, EVENT | {"user": "leaving"})
    body = {"user": "leaving", "scope": {"kind": "all"}, "reason": "consent_withdrawn"}

    accepted = api.client.post("/forget", json=body, headers=SERVICE)
    receipt = accepted.json()
    api.world.erase(receipt["request_id"])
    status = api.client.get(receipt["status_url"], headers=SERVICE).json()

    assert accepted.status_code == 202
    assert receipt["status"] == "suppressed"
    assert receipt["received_at"] < receipt["due_at"]
    assert status["status"] == "completed"
    assert {"memory", "rows"} <= {step["step"] for step in status["steps"]}


def test_the_capability_opens_its_own_request_only(api: Api) -> None:
    def forget(user: str) -> dict[str, str]:
        body = {"user": user, "scope": {"kind": "all"}}
        answer: dict[str, str] = api.client.post("/forget", json=body, headers=SERVICE).json()
        return answer

    mine, other = forget("cap-1"), forget("cap-2")
    holder = {"Authorization": f"Bearer {mine['capability']}"}

    assert api.client.get(mine["status_url"], headers=holder).status_code == 200
    assert api.client.get(other["status_url"], headers=holder).status_code == 401
    assert api.client.get(f"/forget/{'0' * 32}", headers=holder).status_code == 401


def test_a_preview_names_what_would_go(api: Api) -> None:
    post_events(api, EVENT | {"user": "cautious"})
    body = {"user": "cautious", "scope": {"kind": "topic", "text": "whale voyage"}}

    answer = api.client.post("/forget/preview", json=body, headers=SERVICE).json()

    assert answer["n_memories"] == 1
    assert answer["memories"][0]["item_id"] == "sea-01"
    assert answer["memories"][0]["matched_by"] == "words"


def test_a_topic_can_be_listed_and_lifted(api: Api) -> None:
    body = {"user": "moody", "scope": {"kind": "topic", "text": "Rockets"}}
    post_events(api, EVENT | {"user": "moody"})
    api.client.post("/forget", json=body, headers=SERVICE)

    (topic,) = api.client.get("/users/moody/suppressions", headers=SERVICE).json()
    address = f"/users/moody/suppressions/{topic['topic_id']}"

    assert topic["text"] == "Rockets"
    assert api.client.delete(address, headers=SERVICE).status_code == 204
    assert api.client.delete(address, headers=SERVICE).status_code == 404


def test_the_audit_log_lists_the_erasure_and_the_read_itself(api: Api) -> None:
    body = {"user": "traced", "scope": {"kind": "all"}}
    request_id = api.client.post("/forget", json=body, headers=SERVICE).json()["request_id"]

    page = api.client.get(f"/admin/audit?request_id={request_id}", headers=ADMIN).json()
    everything = api.client.get("/admin/audit?limit=1000", headers=ADMIN).json()

    assert [json.loads(leaf["body"])["kind"] for leaf in page["leaves"]] == [
        "forget.received",
        "forget.suppressed",
    ]
    assert [leaf["seq"] for leaf in everything["leaves"]] == list(range(everything["size"] - 1))
    assert '"audit.read"' in everything["leaves"][-1]["body"]


def test_the_audit_log_is_read_page_by_page(api: Api) -> None:
    for name in ("first-paged", "second-paged"):  # two leaves each, whoever came before
        body = {"user": name, "scope": {"kind": "all"}}
        assert api.client.post("/forget", json=body, headers=SERVICE).status_code == 202

    first = api.client.get("/admin/audit?limit=2", headers=ADMIN).json()
    second = api.client.get(f"/admin/audit?limit=2&after={first['next_after']}", headers=ADMIN)

    assert [leaf["seq"] for leaf in first["leaves"]] == [0, 1]
    assert [leaf["seq"] for leaf in second.json()["leaves"]] == [2, 3]


def test_admins_can_hold_release_and_extend(api: Api) -> None:
    body = {"user": "held", "scope": {"kind": "all"}}
    receipt = api.client.post("/forget", json=body, headers=SERVICE).json()
    base = f"/admin/requests/{receipt['request_id']}"

    assert api.client.post(f"{base}/hold", headers=ADMIN).json()["status"] == "on_hold"
    assert api.client.post(f"{base}/hold", headers=ADMIN).status_code == 409
    assert api.client.post(f"{base}/release", headers=ADMIN).json()["status"] == "suppressed"
    told = {"reason": "complexity", "told_at": datetime.now(UTC).isoformat()}
    extended = api.client.post(f"{base}/extend", json=told, headers=ADMIN).json()
    assert extended["due_at"] > receipt["due_at"] == extended["first_due_at"]
    assert api.client.post(f"{base}/extend", json=told, headers=ADMIN).status_code == 409
    listed = api.client.get("/admin/requests?limit=5", headers=ADMIN).json()
    assert receipt["request_id"] in [one["request_id"] for one in listed["requests"]]


def test_the_process_tells_how_it_is_without_a_token(api: Api) -> None:
    assert api.client.get("/livez").json() == {"status": "ok"}
    ready = api.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["dependencies"]["llm"]["status"] == "absent"
    assert b"lethe_http_request_seconds" in api.client.get("/metrics").content


def test_an_address_that_does_not_exist_is_a_problem_too(api: Api) -> None:
    answer = api.client.get("/nowhere")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"
