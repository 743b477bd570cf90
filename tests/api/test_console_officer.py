"""The console for an officer: what is due next, found again, told in letters, and counted."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from app.api.state import Sender
from app.console.letters import Letter, letter_text, letters_for
from app.domain.erasure.request import Extension, Ground, RequestState
from app.domain.models import RequestId
from tests.api.conftest import SERVICE, Api
from tests.api.console_client import Page, administering, fields_of, send

LIST: Final = "/admin/console/requests"
SENDER: Final = Sender("Bookshop Ltd", "privacy@shop.example", "The Authority")


@pytest.fixture
def client(api: Api) -> Iterator[TestClient]:
    with administering(api) as client:
        yield client


def forget(api: Api, user: str, **fields: object) -> dict[str, Any]:
    api.world.read(user, ["sea-01", "sea-02"])
    body = {"user": user, "scope": {"kind": "all"}, "hold": True} | fields
    answer = api.client.post("/forget", json=body, headers=SERVICE)
    assert answer.status_code == 202, answer.text
    accepted: dict[str, Any] = answer.json()
    return accepted


def days_ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def listed(page: str) -> list[str]:
    links = [link["href"] or "" for link in Page(page).all("a")]
    found = [one.removeprefix(f"{LIST}/") for one in links if one.startswith(f"{LIST}/")]
    return list(dict.fromkeys(found))


def found_by(client: TestClient, text: str) -> str:
    answer = client.post(f"{LIST}/find", data=fields_of(client.get(LIST).text) | {"sought": text})
    return answer.headers.get("location", "") or answer.text


def test_what_is_due_next_comes_first_and_what_is_overdue_has_a_list(
    api: Api, client: TestClient
) -> None:
    asked = {days: forget(api, f"due-{days}", requested_at=days_ago(days)) for days in (3, 60, 20)}
    ids = {days: one["request_id"] for days, one in asked.items()}

    due, late = (listed(client.get(f"{LIST}?view={view}").text) for view in ("due", "overdue"))
    overview = client.get("/admin").text

    assert [one for one in due if one in ids.values()] == [ids[60], ids[20], ids[3]]
    assert [one for one in late if one in ids.values()] == [ids[60]]
    assert listed(overview)[0] == due[0]
    assert f'href="{LIST}?view=overdue"' in overview


def test_a_request_is_found_by_its_id_a_ticket_or_a_receipt(api: Api, client: TestClient) -> None:
    ticket = str(uuid4())
    accepted = forget(api, "sought", subject_request_id=ticket)
    request_id = accepted["request_id"]
    page = f"{LIST}/{request_id}"

    for text in (request_id, request_id[:12], ticket, json.dumps(accepted["receipt"])):
        assert found_by(client, text) == page
    assert ticket in client.get(page).text
    assert "0 found" in Page(found_by(client, "0" * 32)).says()
    assert "not a receipt" in Page(found_by(client, "{}")).says()
    with api.world.adapters.uows.read() as uow:
        (found,) = uow.requests.matching(ticket, limit=9)
    assert found.subject_request_id == ticket


def test_ids_of_one_person_are_found_together_and_after_they_are_completed(
    api: Api, client: TestClient
) -> None:
    ticket = str(uuid4())
    ids = [
        forget(api, f"one-of-two-{n}", subject_request_id=ticket, hold=False)["request_id"]
        for n in (1, 2)
    ]
    for request_id in ids:
        api.world.erase(RequestId(request_id))

    assert set(ids) <= set(listed(found_by(client, ticket)))


def test_no_ticket_and_no_note_stands_readable_in_the_database(
    api: Api, client: TestClient
) -> None:
    ticket, note = str(uuid4()), "Rang on Monday, very upset"
    request_id = forget(api, "noted", subject_request_id=ticket)["request_id"]

    assert send(client, f"{LIST}/{request_id}/note", note=note).status_code == 303

    assert note in client.get(f"{LIST}/{request_id}").text
    folder = api.world.adapters.settings.data_dir
    raw = b"".join(file.read_bytes() for file in folder.glob("lethe.db*"))
    assert ticket.encode() not in raw
    assert note.encode() not in raw
    send(client, f"{LIST}/{request_id}/release")
    assert api.world.erase(RequestId(request_id))
    assert note not in client.get(f"{LIST}/{request_id}").text
    assert send(client, f"{LIST}/{request_id}/note", note=note).status_code == 409


def test_a_person_is_looked_at_held_and_forgotten_on_one_page(api: Api, client: TestClient) -> None:
    api.world.read("met at the desk", ["sea-03", "sea-04"])
    page = "/admin/console/person"

    def do(act: str, **fields: str) -> Any:  # noqa: ANN401 - of the test client
        form = fields_of(client.get(page).text) | {"user": "met at the desk", "act": act}
        return client.post(page, data=form | fields)

    looked = do("look")
    held = do("hold", ground="legal_claims")
    asked = do("forget", requested_at="2026-11-20T10:00:00", ticket=str(uuid4()))
    lifted = do("lift")

    assert "Whale voyage 3" in looked.text
    assert "met at the desk" not in str(looked.url)
    assert looked.headers["cache-control"] == "no-store"
    assert "legal claims" in Page(held.text).says()
    request_id = RequestId(asked.headers["location"].rpartition("/")[2])
    status = api.world.container.forget.status(request_id).request
    assert status.state is RequestState.ON_HOLD
    assert status.asked_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert "wait for you to release" in Page(lifted.text).says()
    assert do("forget", ticket="no number").status_code == 422
    assert do("dance").status_code == 422


def test_letters_say_who_writes_and_only_what_is_true(api: Api, client: TestClient) -> None:
    request_id = RequestId(forget(api, "written-to")["request_id"])
    operations = api.world.container.operations
    told_at = api.world.clock.now()
    operations.extend(request_id, extension=Extension.COMPLEXITY, told_at=told_at)
    extended = api.world.container.forget.status(request_id).request
    operations.reject(request_id, ground=Ground.LEGAL_CLAIMS)
    refused = api.world.container.forget.status(request_id).request

    assert letters_for(extended) == [Letter.RECEIVED, Letter.EXTENDED]
    assert letters_for(refused) == [Letter.RECEIVED, Letter.EXTENDED, Letter.REFUSED]
    for letter in letters_for(refused):
        text = letter_text(letter, refused, sender=SENDER)
        told = (SENDER.controller, SENDER.contact, SENDER.authority)
        assert all(one in text for one in told)
    assert "legal claims" in letter_text(Letter.REFUSED, refused, sender=SENDER)
    assert "2 records stay" in letter_text(Letter.REFUSED, refused, sender=SENDER)
    shown = client.get(f"{LIST}/{request_id}/letter/refused").text
    assert "[controller]" in shown
    assert client.get(f"{LIST}/{request_id}/letter/done").status_code == 404


def test_an_operator_translates_the_letters_they_want(api: Api, tmp_path: Path) -> None:
    request = api.world.container.forget.status(
        RequestId(forget(api, "übersetzt")["request_id"])
    ).request
    (tmp_path / "received.txt").write_text(
        "Wir haben Ihren Antrag vom {{ request.asked_at|day }} erhalten. {{ sender.controller }}",
        encoding="utf-8",
    )
    sender = Sender("Buchladen GmbH", folder=tmp_path)

    text = letter_text(Letter.RECEIVED, request, sender=sender)

    assert text.startswith("Wir haben")
    assert text.endswith("Buchladen GmbH")
    assert "court" in letter_text(Letter.REFUSED, request, sender=sender)


def test_the_report_counts_a_month_and_its_table_names_nobody(api: Api, client: TestClient) -> None:
    forget(api, "counted", requested_at=days_ago(90))
    month = f"{api.world.clock.now():%Y-%m}"

    page = Page(client.get(f"/admin/console/report?month={month}").text).says()
    answer = client.get(f"/admin/console/report.csv?month={month}")
    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert f"received {len(rows)}" in page
    assert any(row["is_late"] == "True" for row in rows)
    assert "counted" not in answer.text
    assert client.get("/admin/console/report?month=2026-13").status_code == 422
    assert "received 0" in Page(client.get("/admin/console/report?month=2020-01").text).says()
