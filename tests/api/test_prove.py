"""``POST /admin/prove``, the log against the rows, and both in the console."""

from __future__ import annotations

import json

import pytest

from app.adapters.db.engine import open_engine
from app.adapters.db.tables import erasure_request
from tests.api.conftest import ADMIN, SERVICE, Api
from tests.api.console_client import Page, administering, fields_of

GONE = "proved-gone@example.org"
PROOF = "/admin/console/proof"


@pytest.fixture(scope="module", autouse=True)
def _gone(api: Api) -> None:
    """Somebody who was erased, and requests of other ends."""
    api.world.read(GONE, ["sea-01", "sea-02", "sea-03"])
    for user, scope in ((GONE, {"kind": "all"}), ("partly", {"kind": "topic", "text": "sea"})):
        body = {"user": user, "scope": scope}
        request_id = api.client.post("/forget", json=body, headers=SERVICE).json()["request_id"]
        assert api.world.erase(request_id)
    body = {"user": "held", "scope": {"kind": "all"}}
    held = api.client.post("/forget", json=body, headers=SERVICE).json()["request_id"]
    for action in ("hold", "extend", "release", "hold"):
        answer = api.client.post(f"/admin/requests/{held}/{action}", headers=ADMIN)
        assert answer.status_code == 200
    rejection = {"ground": "legal_claims"}
    api.client.post(f"/admin/requests/{held}/reject", json=rejection, headers=ADMIN)


def test_someone_erased_is_proved_to_be_unknown(api: Api) -> None:
    proof = api.client.post("/admin/prove", json={"user": GONE}, headers=ADMIN).json()

    assert proof["as_never_seen"] is True
    assert {check["claim"]: check["holds"] for check in proof["checks"]} == dict.fromkeys(
        ("answers", "rows", "memories", "cache", "keys", "bytes", "state"), True
    )
    assert proof["state"] == proof["rebuilt"]
    page = api.client.get(f"/admin/audit?after={proof['leaf'] - 1}&limit=1", headers=ADMIN).json()
    assert json.loads(page["leaves"][0]["body"])["kind"] == "user.proved"


def test_someone_erased_gets_a_strangers_answer_byte_for_byte(api: Api) -> None:
    def answered(user: str) -> bytes:
        answer = api.client.get(f"/recommend/{user}?n=20", headers=SERVICE).content
        return answer.partition(b',"cursor"')[0].replace(user.encode(), b"someone")

    assert answered(GONE) == answered("nobody-at-all")


def test_someone_known_is_told_from_a_stranger(api: Api) -> None:
    proof = api.client.post("/admin/prove", json={"user": "reader-1"}, headers=ADMIN).json()

    assert proof["as_never_seen"] is False
    assert proof["state"] != proof["rebuilt"]


@pytest.mark.parametrize(
    ("body", "status"), [({}, 422), ({"user": ""}, 422), ({"user": "x", "colour": "red"}, 422)]
)
def test_what_names_nobody_is_refused(api: Api, body: dict[str, str], status: int) -> None:
    assert api.client.post("/admin/prove", json=body, headers=ADMIN).status_code == status


@pytest.mark.parametrize("path", ["/admin/prove", "/admin/audit/reconcile"])
def test_only_administrators_may_ask(api: Api, path: str) -> None:
    for headers, status in (({}, 401), (SERVICE, 403), (api.user_token(GONE), 403)):
        answer = api.client.post(path, json={"user": GONE}, headers=headers)
        assert answer.status_code == status


def test_the_console_proves_and_names_nobody(api: Api) -> None:
    with administering(api) as client:
        form = fields_of(client.get(PROOF).text)
        proved = client.post(f"{PROOF}/user", data=form | {"user": GONE})
        known = client.post(f"{PROOF}/user", data=form | {"user": "reader-1"})
        empty = client.post(f"{PROOF}/user", data=form | {"user": " "})

    assert "Proved. To the service this user is one it has never seen." in Page(proved.text).says()
    assert "Not proved. The service still knows this user." in Page(known.text).says()
    assert empty.status_code == 422
    for answer, user in ((proved, GONE), (known, "reader-1")):
        assert user not in answer.text
        assert api.world.user(user) not in answer.text


def test_the_log_and_the_rows_agree_until_somebody_changes_a_row(api: Api) -> None:
    found = api.client.post("/admin/audit/reconcile", headers=ADMIN).json()
    assert found["is_consistent"], found
    assert found["n_moves"] > found["n_requests"] >= 3

    engine = open_engine(api.world.adapters.settings.database_url)
    with engine.begin() as connection:
        connection.execute(
            erasure_request.update()
            .where(erasure_request.c.state == "rejected")
            .values(state="completed")
        )
    engine.dispose()

    found = api.client.post("/admin/audit/reconcile", headers=ADMIN).json()
    assert not found["is_consistent"]
    assert any("moved to completed, and no leaf says so" in one for one in found["problems"])
    with administering(api) as client:
        answer = client.post(f"{PROOF}/log", data=fields_of(client.get(PROOF).text))
    page = Page(answer.text)
    assert "It does not." in page.says()
    assert not page.unclosed
