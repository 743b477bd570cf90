"""The month that the law gives: it runs from the wish, moves once and in time, and is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.data import verify_lethe
from app.domain.erasure.request import due_date
from app.domain.models import RequestId
from tests.api.conftest import ADMIN, SERVICE, Api

DAY = timedelta(days=1)


def ago(days: float) -> datetime:
    return datetime.now(UTC) - days * DAY


def forget(api: Api, user: str, **more: object) -> dict[str, Any]:
    body = {"user": user, "scope": {"kind": "all"}} | more
    answer = api.client.post("/forget", json=body, headers=SERVICE)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def extend(api: Api, request_id: str, *, told_at: datetime) -> int:
    body = {"reason": "number_of_requests", "told_at": told_at.isoformat()}
    path = f"/admin/requests/{request_id}/extend"
    return api.client.post(path, json=body, headers=ADMIN).status_code


def status(api: Api, request_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.client.get(f"/forget/{request_id}", headers=SERVICE).json()
    return found


def test_the_month_runs_from_the_day_on_which_the_person_asked(api: Api) -> None:
    asked_at = ago(10)

    told = forget(api, "patient", requested_at=asked_at.isoformat())

    assert datetime.fromisoformat(told["requested_at"]) == asked_at
    assert datetime.fromisoformat(told["due_at"]) == due_date(asked_at)
    assert (
        told["receipt"]["statement"]["requested_at"] < told["receipt"]["statement"]["received_at"]
    )


@pytest.mark.parametrize("days", [-1, 367])
def test_nobody_asked_in_the_future_or_years_ago(api: Api, days: float) -> None:
    body = {"user": "odd", "scope": {"kind": "all"}, "requested_at": ago(days).isoformat()}

    answer = api.client.post("/forget", json=body, headers=SERVICE)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "requested_at")


def test_a_status_url_believes_no_host_that_a_caller_writes(api: Api) -> None:
    body = {"user": "hosted", "scope": {"kind": "all"}}
    headers = SERVICE | {"Host": "evil.example"}

    told = api.client.post("/forget", json=body, headers=headers).json()

    assert told["status_url"] == f"/forget/{told['request_id']}"
    assert api.client.get(told["status_url"], headers=SERVICE).status_code == 200


def test_an_extension_is_in_time_once_and_told(api: Api) -> None:
    in_time = forget(api, "complex", requested_at=ago(20).isoformat())["request_id"]
    overdue = forget(api, "waited", requested_at=ago(40).isoformat())["request_id"]

    assert extend(api, overdue, told_at=ago(1)) == 409
    assert extend(api, in_time, told_at=ago(21)) == 422
    assert extend(api, in_time, told_at=ago(-1)) == 422
    assert extend(api, in_time, told_at=ago(1)) == 200
    assert extend(api, in_time, told_at=ago(1)) == 409
    found = status(api, in_time)
    assert (found["extension"], found["first_due_at"] < found["due_at"]) == (
        "number_of_requests",
        True,
    )
    assert status(api, overdue)["extension"] is None


@pytest.mark.parametrize(("days", "said"), [(40, "LATE (due"), (20, "in time (due")])
def test_certificate_and_verifier_tell_both_dates_and_whether_it_was_late(
    api: Api, days: float, said: str
) -> None:
    name = f"certified-{days}"
    api.world.read(name, ["sea-01"])
    request_id = forget(api, name, requested_at=ago(days).isoformat())["request_id"]
    if days < 30:
        assert extend(api, request_id, told_at=ago(1)) == 200
    assert api.world.erase(RequestId(request_id))

    statement = status(api, request_id)["certificate"]["statement"]

    assert statement["requested_at"] < statement["received_at"]
    assert (statement["first_due_at"] < statement["due_at"]) is (days < 30)
    summary = verify_lethe.check_statement(statement)
    assert said in summary
    assert ("extended from" in summary) is (days < 30)


def test_who_was_not_there_is_told_so_everywhere_and_never_proved_forgotten(api: Api) -> None:
    api.world.read("alice", ["sea-01"])
    told = forget(api, "a1ice")
    request_id = told["request_id"]
    assert api.world.erase(RequestId(request_id))
    found = status(api, request_id)
    proof = api.client.post("/admin/prove", json={"user": "a1ice"}, headers=ADMIN).json()

    assert told["n_records"] == found["n_records"] == 0
    assert found["certificate"]["statement"]["n_records"] == 0
    assert told["receipt"]["statement"]["n_records"] == 0
    assert "NOTHING WAS HELD" in verify_lethe.check_statement(found["certificate"]["statement"])
    assert [one for one in proof["checks"] if not one["holds"]] == []
    assert (proof["as_never_seen"], proof["n_records"]) == (True, 0)


def test_who_was_there_is_counted_with_topics_and_rights(api: Api) -> None:
    api.world.read("counted", ["sea-01", "sea-02"])
    topic = {"user": "counted", "scope": {"kind": "topic", "text": "Rockets"}}
    api.client.post("/forget", json=topic, headers=SERVICE)
    api.client.put("/users/counted/restriction", headers=SERVICE)

    told = forget(api, "counted")

    assert told["n_records"] == 4
    assert (
        api.client.post("/admin/prove", json={"user": "new"}, headers=ADMIN).json()["n_records"]
        is None
    )
