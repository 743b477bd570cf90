"""Who gets into the console, and what another site can make a browser do there: nothing."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from app.console.session import IDLE_S, LONGEST_S, Session, Sessions
from app.domain.access import ROLES
from app.domain.privacy.pseudonyms import Identity
from tests.api.conftest import ADMIN, SERVICE, Api
from tests.api.console_client import (
    ADMIN_TOKEN,
    SIGN_IN,
    administering,
    fields_of,
    sign_in,
    visiting,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SESSIONS = Sessions(Identity(b"p" * 32).console_key("token"))
NOBODY = "0" * 32
PAGES = [
    "/admin",
    "/admin/console/requests",
    f"/admin/console/requests/{NOBODY}",
    f"/admin/console/requests/{NOBODY}/certificate",
    f"/admin/console/requests/{NOBODY}/certificate.json",
    f"/admin/console/requests/{NOBODY}/hold",
    "/admin/console/log",
    "/admin/console/proof",
    "/admin/console/stores",
]
DATA = ["/admin/console/log/evidence", "/admin/console/log/leaves?size=1"]
FORMS = [
    f"/admin/console/requests/{NOBODY}/hold",
    f"/admin/console/requests/{NOBODY}/reject",
    "/admin/console/proof/user",
    "/admin/console/proof/log",
    "/admin/console/sign-out",
]


def cookie_of(client: TestClient) -> str:
    return next(
        cookie.value or "" for cookie in client.cookies.jar if cookie.name == "lethe_console"
    )


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("headers", [{}, ADMIN, SERVICE, {"Cookie": "lethe_console=v1.x"}])
def test_a_page_leads_to_the_sign_in(api: Api, path: str, headers: dict[str, str]) -> None:
    with visiting(api) as client:
        answer = client.get(path, headers=headers)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith(SIGN_IN)
    assert answer.content == b""


@pytest.mark.parametrize("path", DATA)
@pytest.mark.parametrize("headers", [{}, ADMIN])
def test_data_for_scripts_need_the_cookie(api: Api, path: str, headers: dict[str, str]) -> None:
    with visiting(api) as client:
        answer = client.get(path, headers=headers)

    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize("path", ["/admin/requests", "/admin/audit", "/admin/audit/checkpoint"])
def test_the_cookie_opens_no_route_of_the_api(api: Api, path: str) -> None:
    with administering(api) as client:
        assert client.get(path).status_code == 401
        bearer = {"Authorization": f"Bearer {cookie_of(client)}"}
        assert client.get(path, headers=bearer).status_code == 401


def test_the_admin_token_opens_and_sign_out_closes(api: Api) -> None:
    with visiting(api) as client:
        assert sign_in(client).headers["location"] == "/admin"
        page = client.get("/admin")
        assert page.status_code == 200

        stolen = {"Cookie": f"lethe_console={cookie_of(client)}"}
        assert client.post("/admin/console/sign-out", data=fields_of(page.text)).status_code == 303
        assert client.get("/admin").status_code == 303
        assert client.get("/admin", headers=stolen).status_code == 303


def test_the_menu_has_no_page_that_would_refuse_who_is_signed_in(api: Api) -> None:
    access = api.world.container.access
    for role in ROLES:
        with visiting(api) as client:
            assert sign_in(client, access.create(f"menu-{role}", ROLES[role])).status_code == 303
            menu = re.findall(r'<li><a href="([^"]+)"', client.get("/admin").text)

            assert ("/admin/console/person" in menu) == (role == "operator")
            assert {client.get(page).status_code for page in menu} == {200}


def test_a_key_that_is_revoked_ends_its_sessions(api: Api) -> None:
    access = api.world.container.access
    with visiting(api) as client:
        assert sign_in(client, access.create("leaver", ROLES["auditor"])).status_code == 303
        assert "Sign out leaver" in client.get("/admin").text
        access.revoke("leaver")
        assert client.get("/admin").status_code == 303


@pytest.mark.parametrize(
    "token", ["", "n0t-the-one", "a-service-token", ADMIN_TOKEN[:-1], "ä" * 40]
)
def test_another_token_waits_and_is_refused(api: Api, token: str) -> None:
    with visiting(api) as client:
        started_s = time.monotonic()
        answer = sign_in(client, token)

        assert answer.status_code == 401
        assert time.monotonic() - started_s >= 1.0
        assert "no token of a member of staff" in answer.text
        assert not token or token not in answer.text
        assert client.get("/admin").status_code == 303


@pytest.mark.parametrize(
    ("base_url", "is_secure"),
    [
        ("http://127.0.0.1", False),
        ("http://localhost:8000", False),
        ("https://127.0.0.1", True),
        ("https://lethe.example", True),
        ("http://lethe.example", True),
        ("http://127.0.0.1.example", True),
    ],
)
def test_the_cookie_is_out_of_reach(api: Api, base_url: str, *, is_secure: bool) -> None:
    with visiting(api, base_url=base_url) as client:
        form = client.get(SIGN_IN)
        visitor = form.headers["set-cookie"].partition(";")[0]
        fields = fields_of(form.text) | {"token": ADMIN_TOKEN}
        answer = client.post(SIGN_IN, data=fields, headers={"Cookie": visitor})

    cookie = next(
        value
        for value in answer.headers.get_list("set-cookie")
        if value.startswith("lethe_console=")
    )
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/admin" in cookie
    assert ("Secure" in cookie) is is_secure


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("csrf", [None, "", "0" * 64, "ä"])
def test_a_form_of_another_site_is_refused(api: Api, path: str, csrf: str | None) -> None:
    with administering(api) as client:
        answer = client.post(
            path, data={} if csrf is None else {"csrf": csrf, "ground": "identity"}
        )

        assert answer.status_code in {403, 422}  # 422: an empty body is no form at all
        assert client.get("/admin").status_code == 200


def test_a_form_of_another_session_is_refused(api: Api) -> None:
    with administering(api) as client, administering(api) as other:
        stolen = fields_of(other.get("/admin").text)

        assert client.post("/admin/console/sign-out", data=stolen).status_code == 403


def test_a_form_for_signing_in_of_another_visitor_is_refused(api: Api) -> None:
    with visiting(api) as client, visiting(api) as other:
        stolen = fields_of(other.get(SIGN_IN).text) | {"token": ADMIN_TOKEN}
        client.get(SIGN_IN)

        assert client.post(SIGN_IN, data=stolen).status_code == 403
        with visiting(api) as bare:
            assert bare.post(SIGN_IN, data=stolen).status_code == 403


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data"])
def test_only_forms_are_read(api: Api, content_type: str) -> None:
    with administering(api) as client:
        content = f"csrf={fields_of(client.get('/admin').text)['csrf']}"
        headers = {"Content-Type": content_type}
        answer = client.post("/admin/console/sign-out", content=content, headers=headers)

    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("content", "status"),
    [("a=" + "b" * 20_000, 413), ("&".join("abc=1" for _ in range(50)), 422)],
)
def test_a_huge_form_is_refused(api: Api, content: str, status: int) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    with visiting(api) as client:
        answer = client.post(SIGN_IN, content=content, headers=headers)

    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/admin/console/log", "/admin/console/log"),
        ("//evil.example", "/admin"),
        ("https://evil.example/admin", "/admin"),
        ("/admin/console/\r\nSet-Cookie: a=b", "/admin"),
        ("/admin@evil.example", "/admin"),
        ("/recommend/ada", "/admin"),
    ],
)
def test_sign_in_leads_nowhere_else(api: Api, wanted: str, reached: str) -> None:
    with visiting(api) as client:
        assert sign_in(client, next=wanted).headers["location"] == reached


def test_a_page_that_was_wanted_is_reached_after_the_sign_in(api: Api) -> None:
    with visiting(api) as client:
        there = client.get("/admin/console/stores").headers["location"]
        fields = fields_of(client.get(there).text) | {"token": ADMIN_TOKEN}

        assert client.post(SIGN_IN, data=fields).headers["location"] == "/admin/console/stores"


def test_whoever_is_signed_in_need_not_sign_in(api: Api) -> None:
    with administering(api) as client:
        assert client.get(SIGN_IN).headers["location"] == "/admin"


@pytest.mark.parametrize(
    ("idle_s", "age_s", "is_open"),
    [
        (0, 0, True),
        (IDLE_S, IDLE_S, True),
        (IDLE_S + 1, IDLE_S + 1, False),
        (0, LONGEST_S, True),
        (0, LONGEST_S + 1, False),
        (-IDLE_S - 1, 0, False),
    ],
)
def test_a_session_ends(idle_s: int, age_s: int, *, is_open: bool) -> None:
    at = int(NOW.timestamp())
    session = Session("a" * 32, "", started=at - age_s, seen=at - idle_s)

    found = SESSIONS.decode(SESSIONS.encode(session), now=NOW)

    assert found == (session if is_open else None)


def test_a_session_in_use_is_renewed_and_keeps_its_start(api: Api) -> None:
    session = SESSIONS.start(NOW)

    assert session.renewed(NOW + timedelta(seconds=59)) is None
    renewed = session.renewed(NOW + timedelta(seconds=61))
    assert renewed == Session(session.session_id, "", session.started, session.seen + 61)

    with administering(api) as client:
        at = int(api.world.container.clock.now().timestamp())
        key = api.world.container.identity.console_key(ADMIN_TOKEN)
        older = Sessions(key).encode(Session("a" * 32, "", started=at - 700, seen=at - 600))
        answer = client.get("/admin", headers={"Cookie": f"lethe_console={older}"})
        assert f"lethe_console=v2.{'a' * 32}..{at - 700}." in answer.headers["set-cookie"]


@given(st.data())
def test_no_cookie_can_be_made_or_changed(data: st.DataObject) -> None:
    made = SESSIONS.encode(SESSIONS.start(NOW))
    place = data.draw(st.integers(0, len(made) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda char: char != made[place]))

    assert SESSIONS.decode(made, now=NOW) is not None
    assert SESSIONS.decode(made[:place] + other + made[place + 1 :], now=NOW) is None
    assert SESSIONS.decode(made[:place], now=NOW) is None


@pytest.mark.parametrize("secrets", [(b"p" * 32, "another"), (b"q" * 32, "token")])
def test_a_new_token_or_pepper_signs_everybody_out(secrets: tuple[bytes, str]) -> None:
    pepper, token = secrets
    cookie = SESSIONS.encode(SESSIONS.start(NOW))
    twin = Sessions(Identity(b"p" * 32).console_key("token"))

    assert twin.decode(cookie, now=NOW) is not None
    assert Sessions(Identity(pepper).console_key(token)).decode(cookie, now=NOW) is None
