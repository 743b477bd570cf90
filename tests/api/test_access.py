"""The table of routes and holders, walked over the application; keys and who acts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest
from fastapi.testclient import TestClient
from starlette.routing import Route

from app.api.application import create_app
from app.domain.access import ROLES, Scope
from tests.api.access_table import CONSOLE, HOLDERS, PAGE, ROUTES, opens_to, render
from tests.api.conftest import ADMIN, SERVICE, Api
from tests.api.console_client import fields_of, sign_in, visiting
from tests.api.test_edge import app_of, path_of, routes_of

FORGET: Final = {"user": "me", "scope": {"kind": "items", "item_ids": ["none"]}}
BODIES: Final[dict[str, object]] = {
    "POST /recommend/batch": {"requests": [{"user": "me"}]},
    "POST /forget": FORGET,
    "POST /forget/preview": FORGET,
    "POST /recommend": {"user": "me"},
    "POST /users/suppressions": {"user": "me"},
    "POST /users/export": {"user": "me"},
    "POST /users/rights": {"user": "me"},
}
"""What a route needs in order to see whose data are meant; the others refuse nothing before."""
SCOPES: Final = ("read", "ingest", "forget")


@dataclass
class Keys:
    """A token for each holder, a session for each who can have one, and a request to ask for."""

    tokens: dict[str, dict[str, str]]
    sessions: dict[str, TestClient]
    request_id: str


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def keys(api: Api) -> Iterator[Keys]:
    access = api.world.container.access
    made = {one: access.create(f"only-{one}", frozenset({Scope(one)})) for one in SCOPES}
    made |= {role: access.create(f"the-{role}", ROLES[role]) for role in ROLES}
    asked = api.client.post("/forget", json=FORGET, headers=SERVICE).json()
    tokens = {name: bearer(token) for name, token in made.items()}
    tokens |= {"user": api.user_token("me"), "capability": bearer(asked["capability"])}
    with visiting(api) as auditor, visiting(api) as operator:
        sessions = {"auditor": auditor, "operator": operator}
        for role, client in sessions.items():
            assert sign_in(client, made[role]).status_code == 303
        yield Keys(tokens | {"nobody": {}}, sessions, asked["request_id"])


def test_every_route_is_in_the_table_and_the_table_is_in_the_documents(api: Api) -> None:
    of_the_framework = {f"GET {route.path}" for route in app_of(api).routes if type(route) is Route}

    assert {f"{m} {path}" for m, path in routes_of(api)} | of_the_framework == {*ROUTES, *CONSOLE}
    assert PAGE.read_text(encoding="utf-8") == render(), "run make docs"


@pytest.mark.parametrize("holder", HOLDERS)
def test_every_route_opens_to_the_holders_of_the_table_and_to_no_other(
    api: Api, keys: Keys, holder: str
) -> None:
    for route, said in ROUTES.items():
        method, template = route.split()
        path = path_of(template).replace("ada", "me").replace("0" * 32, keys.request_id)
        answer = api.client.request(
            method, path, json=BODIES.get(route), headers=keys.tokens[holder]
        )
        is_open = answer.status_code not in {401, 403}
        assert is_open is (holder in opens_to(said)), (route, answer.status_code)
        if not is_open:  # without a token of ours it is unknown who calls; else it is known
            expected = 401 if holder in {"nobody", "capability"} else 403
            assert answer.status_code == expected, route


@pytest.mark.parametrize("holder", HOLDERS)
def test_every_page_opens_to_the_sessions_of_the_table_and_to_no_token(
    api: Api, keys: Keys, holder: str
) -> None:
    with visiting(api) as stranger:
        for route, said in CONSOLE.items():
            if "sign-" in route:
                continue  # signs in and out; see test_console_session
            method, template = route.split()
            path = path_of(template).replace("0" * 32, keys.request_id)
            path += "?size=1" if path.endswith("leaves") else ""
            if said != "all":
                sent = stranger.request(method, path, headers=keys.tokens[holder])
                assert sent.status_code in {303, 401}, route
            client = keys.sessions.get(holder)
            if client is not None:
                form = fields_of(client.get("/admin").text)
                answer = client.request(method, path, data=form if method == "POST" else None)
                is_open = answer.status_code != 403 and "sign-in" not in answer.headers.get(
                    "location", ""
                )
                assert is_open is (holder in opens_to(said)), (route, answer.status_code)


def test_what_staff_do_and_look_at_stands_in_the_log_with_their_name(api: Api, keys: Keys) -> None:
    asked = api.client.post("/forget", json=FORGET | {"user": "held"}, headers=SERVICE).json()
    path = f"/admin/requests/{asked['request_id']}"
    operator, auditor = keys.tokens["operator"], keys.tokens["auditor"]
    for act in ("hold", "release"):
        assert api.client.post(f"{path}/{act}", headers=operator).status_code == 200
    page = f"/admin/console/requests/{asked['request_id']}/hold"
    form = fields_of(keys.sessions["operator"].get("/admin").text)
    assert keys.sessions["operator"].post(page, data=form).status_code == 303
    assert api.client.post("/admin/prove", json={"user": "x"}, headers=auditor).status_code == 200

    log = api.client.get("/admin/audit?limit=1000", headers=auditor).json()["leaves"]
    said = [json.loads(leaf["body"]) for leaf in log]
    acts = [one for one in said if one["request_id"] == asked["request_id"]]
    assert [one["payload"].get("by") for one in acts if "forget.on_hold" in one["kind"]] == [
        "the-operator",
        "the-operator",
    ]
    assert {one["payload"].get("by") for one in acts if one["kind"] == "forget.received"} == {None}
    assert said[-1]["payload"]["by"] == "the-auditor"  # that it proved; the read is the next leaf
    assert api.client.get("/admin/audit", headers=ADMIN).status_code == 200
    assert b'"by":"admin"' in last_leaf(api)


def last_leaf(api: Api) -> bytes:
    with api.world.adapters.uows.read() as uow:
        return uow.audit.page(after=uow.audit.size() - 2, limit=1, kind=None, request_id=None)[
            0
        ].body


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("lethe.example", 200),
        ("a.shop.example", 200),
        ("lethe.example:8443", 200),
        ("evil.example", 400),
        ("lethe.example.evil.example", 400),
        ("", 400),
    ],
)
def test_a_request_to_another_name_is_refused(api: Api, host: str, status: int) -> None:
    state = app_of(api).state.lethe
    app = create_app(state, hosts=["lethe.example", "*.shop.example"])

    answer = TestClient(app).get("/livez", headers={"Host": host})

    assert answer.status_code == status
    assert not host or status == 200 or host not in answer.text


def test_no_answer_repeats_what_stands_in_a_header_or_a_query(api: Api) -> None:
    canary = "c4n4ry-in-a-header"
    for known in (SERVICE, ADMIN, bearer(canary), {"Authorization": canary}):
        sent = {
            **dict.fromkeys(("Idempotency-Key", "X-Request-Id", "Accept", "Referer"), canary),
            "Cookie": f"lethe_console={canary}",
            "X-Forwarded-Host": canary,
            **known,
        }
        for method, template in routes_of(api):
            if "sign-out" not in template:
                path = path_of(template)
                answer = api.client.request(method, f"{path}?{canary}={canary}", headers=sent)
                told = answer.text + str(answer.headers)
                assert canary not in told, (method, template, answer.status_code)
