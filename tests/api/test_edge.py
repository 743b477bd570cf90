"""What comes from outside: whoever sends whatever, nothing breaks, waits or is repeated."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import sys
import threading
from collections.abc import Coroutine, Iterable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import FrameType
from typing import Any, Final
from urllib.parse import quote

import jwt
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.console.guard import COOKIE, SIGN_IN
from app.console.session import sessions_of
from tests.api.conftest import ADMIN, FAR_FUTURE, SERVICE, Api

OPEN: Final = {
    "/docs",
    "/livez",
    "/about/recommendations",
    "/readyz",
    "/metrics",
    "/.well-known/lethe.json",
    "/log/checkpoint",
    "/log/leaves/{seq}/proof",
    "/log/consistency",
    SIGN_IN,
    "/admin/console/static/{version}/{name}",
}
JSON: Final = {"Content-Type": "application/json"}
NDJSON: Final = {"Content-Type": "application/x-ndjson"}
MARKER: Final = "m4rk3r"
VALUES: Final = {
    "request_id": "0" * 32,
    "topic_id": "0" * 64,
    "seq": "0",
    "right": "objection",
    "name": "hold",
    "letter": "received",
    "item_id": "sea-01",
    "event_id": "e-1",
}
_SETTINGS: Final = settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=(Phase.explicit, Phase.generate),  # what is hostile is small: nothing to shrink
)


@dataclass
class Answer:
    """What came back, and how much of the body was read for it."""

    status: int = 0
    body: bytes = b""
    n_read: int = 0
    headers: dict[str, str] = field(default_factory=dict)


def run_apart(asked: Coroutine[Any, Any, Answer]) -> Answer:
    """Return the answer, from a loop in a thread of its own: tests in a browser leave one here."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asked).result()


async def ask(
    app: FastAPI, method: str, target: str, headers: dict[str, str], chunks: Iterable[bytes] = ()
) -> Answer:
    """Send a request whose body is handed over piece by piece, when it is asked for."""
    path, _, query = target.partition("?")
    answer, left = Answer(), iter(chunks)
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }

    async def receive() -> dict[str, Any]:
        chunk = next(left, None)
        answer.n_read += len(chunk or b"")
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {key.decode(): value.decode() for key, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    await app(scope, receive, send)  # raises again what it has answered with 500
    return answer


def app_of(api: Api) -> FastAPI:
    app = api.client.app
    assert isinstance(app, FastAPI)
    return app


def routes_of(api: Api) -> Iterator[tuple[str, str]]:
    """Every route of ours, as method and template."""
    for context in iter_route_contexts(app_of(api).routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            for method in sorted(context.methods or ()):
                yield method, context.path or ""


def path_of(template: str) -> str:
    plain = template.replace(":path}", "}")
    return plain.format_map(VALUES | {"user": "ada", "version": "1"})


def credentials(api: Api, template: str) -> dict[str, str]:
    if template in OPEN:
        return {}
    if template == "/admin" or template.startswith("/admin/console"):
        state = app_of(api).state.lethe
        session = sessions_of(state).start(state.container.clock.now())
        return {"Cookie": f"{COOKIE}={sessions_of(state).encode(session)}"}
    return ADMIN if template.startswith("/admin") else SERVICE


def test_a_body_is_413_on_every_route_when_it_is_over_the_limit(api: Api) -> None:
    routes = list(routes_of(api))
    assert len(routes) >= 40

    for method, template in routes:
        for length in ({"Content-Length": "20000000"}, {}):
            headers = credentials(api, template) | JSON | length
            endless = itertools.repeat(b"[" * 20_000, 1_000)
            answer = run_apart(ask(app_of(api), method, path_of(template), headers, endless))
            assert answer.status == 413, (method, template, length)
            assert answer.n_read <= 140_000


@pytest.mark.parametrize("token", [{}, {"Authorization": "Bearer wrong"}])
def test_no_byte_of_a_body_is_read_when_its_sender_is_not_let_in(
    api: Api, token: dict[str, str]
) -> None:
    capability = "/forget/{request_id}"  # open to any bearer: the routes themselves look at it
    for method, template in routes_of(api):
        if template in OPEN or (token and template.startswith(capability)):
            continue
        endless = itertools.repeat(b"[" * 20_000, 1_000)
        answer = run_apart(ask(app_of(api), method, path_of(template), token | JSON, endless))
        assert answer.status in {401, 303}, (method, template)
        assert answer.n_read == 0


# --- Long bodies ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("POST", "/interactions", NDJSON, b"1\n" * 40),
        ("POST", "/interactions", JSON, b"[1,2]"),
        ("POST", "/items", JSON, b"[1,2]"),
        ("PUT", "/items/x", JSON, b'{"a":1}'),
        ("POST", "/forget", JSON, b"[1,2]"),
        ("POST", "/forget/preview", JSON, b"[1,2]"),
    ],
)
def test_the_loop_parses_no_body_when_one_comes(
    api: Api, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    parsing: set[int] = set()
    of_the_loop: list[int] = []

    def note(frame: FrameType, _event: str, _argument: object) -> None:
        if frame.f_code.co_name in {"raw_decode", "interaction_from_wire", "_lines", "_array"}:
            parsing.add(threading.get_ident())

    async def send() -> Answer:
        of_the_loop.append(threading.get_ident())
        await ask(app_of(api), "GET", "/livez", {})  # a thread of the pool would be of another loop
        sys.setprofile(note)
        try:
            return await ask(app_of(api), method, path, SERVICE | headers, [body])
        finally:
            sys.setprofile(None)

    threading.setprofile(note)
    try:
        answer = run_apart(send())
    finally:
        threading.setprofile(None)

    assert answer.status == 422
    assert parsing, "nothing was seen parsing"
    assert parsing.isdisjoint(of_the_loop)


@pytest.mark.parametrize(
    ("headers", "body"),
    [(NDJSON, b"1\n" * 40_000), (JSON, b"[" + b"1," * 40_000 + b"1]"), (NDJSON, b"{\n" * 40_000)],
)
def test_entries_are_counted_before_they_are_parsed_when_there_are_too_many(
    api: Api, headers: dict[str, str], body: bytes
) -> None:
    answer = api.client.post("/interactions", content=body, headers=SERVICE | headers)

    assert answer.json()["errors"] == [{"field": "body", "message": "holds more than 50 entries"}]


def test_the_first_hundred_errors_are_told_and_the_rest_counted_when_there_are_more(
    api: Api,
) -> None:
    entry = {"kind": 1, "attributes": {f"{MARKER}{n}": None for n in range(64)}, MARKER: 1}

    answer = api.client.post("/interactions", json=[entry] * 50, headers=SERVICE)

    problem = answer.json()
    assert answer.status_code == 422
    assert len(problem["errors"]) == 100
    assert problem["more_errors"] >= 100
    assert len(answer.content) < 40_000
    assert MARKER not in answer.text


# --- Hostile values ------------------------------------------------------------------------

DIGITS: Final = "9" * 5_000
TOKENS: Final = (
    DIGITS,
    f"-{DIGITS}",
    f"{DIGITS}.5e{DIGITS}",
    "1e999",
    "-1e999",
    "NaN",
    "-Infinity",
    '"\\ud800"',
    f'"{MARKER}\\udfff"',
    f'"{MARKER}\\u0000"',
    f'"{MARKER}"',
    f'"{MARKER * 300}"',
    "[" * 5_000,
    '{"a":' * 5_000,
    '"0001-01-01T00:00:00+14:00"',
    '"9999-12-31T23:59:59-14:00"',
    '"9999-12-31T23:59:60Z"',
    "253402300800",
    "-99999999999999999999",
    "null",
    "true",
    "-0.0",
    "[]",
    "{}",
    "[[]]",
    "\ufeff1",
    f"{{{MARKER}",
    "",
)
"""JSON and what looks like it, as text: no encoder would write most of these."""
NAMES: Final = (
    *("user", "scope", "kind", "from", "to", "text", "item_ids", "event_ids", "reason"),
    *("subject_request_id", "ground", "item_id", "title", "description", "attributes"),
    *("event_id", "value", "occurred_at"),
)
TOKEN_OF: Final = st.sampled_from(TOKENS)
NAME_OF: Final = st.sampled_from([*NAMES, MARKER, f"{MARKER}\\ud800", "\\u0000"])
VALID: Final = {
    "user": '"ada"',
    "kind": '"rating"',
    "value": "5",
    "event_id": '"e"',
    "item_id": '"sea-01"',
    "title": '"t"',
    "occurred_at": '"2025-03-01T12:00:00Z"',
    "ground": '"legal_hold"',
    "from": '"2025-03-01T12:00:00Z"',
    "to": '"2025-04-01T12:00:00Z"',
    "scope": '{"kind":"all"}',
}


def _object(pairs: dict[str, str]) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in pairs.items()) + "}"


def _changed(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    """A valid object of these fields, of which some are another, or more."""
    changes = st.dictionaries(st.sampled_from(names) | NAME_OF, VALUE_OF, max_size=3)
    return changes.map(lambda found: _object({name: VALID[name] for name in names} | found))


VALUE_OF: Final[st.SearchStrategy[str]] = st.recursive(
    TOKEN_OF,
    lambda inner: (
        st.dictionaries(NAME_OF, inner, max_size=3).map(_object)
        | st.lists(inner, max_size=3).map(lambda found: f"[{','.join(found)}]")
    ),
    max_leaves=4,
)
PERIOD_OF: Final = _changed(("from", "to")).map(lambda text: f'{{"kind":"period",{text[1:]}')
FORGET_OF: Final = st.one_of(
    _changed(("user", "scope")),
    PERIOD_OF.map(lambda text: _object({"user": '"ada"', "scope": text})),
)
INTERACTION_OF: Final = _changed(("event_id", "user", "item_id", "kind", "value", "occurred_at"))
ITEM_OF: Final = _changed(("item_id", "title"))
BODIES: Final = {
    ("POST", "/forget/preview"): FORGET_OF,
    ("POST", "/forget"): FORGET_OF,
    ("PUT", "/items/sea-01"): ITEM_OF,
    ("POST", "/items"): ITEM_OF.map(lambda one: f"[{one}]"),
    ("POST", "/interactions"): INTERACTION_OF.map(lambda one: f"[{one}]"),
    ("POST", "/interactions?"): INTERACTION_OF,  # NDJSON
    ("POST", f"/admin/requests/{'0' * 32}/reject"): _changed(("ground",)),
    ("POST", "/admin/prove"): _changed(("user",)),
}


def require_harmless(answer: Answer, *, sent: object) -> None:
    assert answer.status < 500, (answer.body, sent)
    if answer.status >= 400:
        assert MARKER.encode() not in answer.body, sent
        assert len(answer.body) < 40_000


@_SETTINGS
@given(data=st.data())
def test_no_body_is_a_500_or_repeated_when_it_is_hostile(api: Api, data: st.DataObject) -> None:
    method, target = data.draw(st.sampled_from(sorted(BODIES)))
    body = data.draw(BODIES[method, target] | VALUE_OF).encode(errors="surrogatepass")
    headers = credentials(api, target) | (NDJSON if target.endswith("?") else JSON)

    answer = run_apart(ask(app_of(api), method, target, headers, [body]))

    require_harmless(answer, sent=body[:2_000])


PARAMETERS: Final = (
    *("after", "before", "limit", "kind", "request_id", "status", "state", "size", "first"),
    *("second", "n", "strategy", "exclude", "personalise", "explain", "embeddings"),
    *("next", "on_error"),
)
TEXTS: Final = (
    DIGITS,
    f"-{DIGITS}",
    "1e999",
    "NaN",
    "9223372036854775808",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    MARKER,
    "\ud800",
    "\x00",
    "٣",
    "",
)


@_SETTINGS
@given(data=st.data())
def test_no_address_is_a_500_or_repeated_when_it_is_hostile(api: Api, data: st.DataObject) -> None:
    method, template = data.draw(st.sampled_from([r for r in routes_of(api) if r[0] == "GET"]))
    name, text = data.draw(st.sampled_from(PARAMETERS)), data.draw(st.sampled_from(TEXTS))
    value = quote(text, errors="surrogatepass")

    answer = run_apart(
        ask(app_of(api), method, f"{path_of(template)}?{name}={value}", credentials(api, template))
    )

    require_harmless(answer, sent=(template, name, value[:100]))


@pytest.mark.parametrize("text", ["\x80\xff", "9" * 5_000, "", "é" * 200, MARKER])
@pytest.mark.parametrize(
    "name", ["Authorization", "Idempotency-Key", "Content-Type", "Content-Length", "Cookie"]
)
def test_no_header_is_a_500_or_repeated_when_it_is_hostile(api: Api, name: str, text: str) -> None:
    body = json.dumps({"user": "hostile", "scope": {"kind": "all"}}).encode()
    values = [text, f"Bearer {text}", f"{COOKIE}={text}", f"lethe_console_visitor={text}"]
    targets = [("POST", "/forget"), ("GET", "/admin"), ("GET", SIGN_IN), ("GET", "/livez")]
    for value, (method, path) in itertools.product(values, targets):
        answer = run_apart(ask(app_of(api), method, path, SERVICE | JSON | {name: value}, [body]))
        require_harmless(answer, sent=(name, value[:100], path))


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "\ud800"},
        {"sub": "a\x00b"},
        {"sub": "a" * 257},
        {"sub": ""},
        {"sub": 1},
        {"sub": ["a"]},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"nbf": float("inf")},
        {"iat": float("inf")},
        {"aud": MARKER},
    ],
)
def test_a_token_opens_nothing_when_it_is_signed_and_odd(
    api: Api, claims: dict[str, object]
) -> None:
    payload = json.dumps({"sub": "me", "exp": FAR_FUTURE} | claims).encode()
    token = jwt.api_jws.encode(payload, api.key, algorithm="EdDSA")

    answer = api.client.get("/recommend/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert MARKER not in answer.text


@pytest.mark.parametrize("header", ["[" * 9_000, DIGITS, '{"alg":"EdDSA","kid":1}', "{", "\ud800"])
def test_a_token_opens_nothing_when_its_header_is_hostile(api: Api, header: str) -> None:
    first = base64.urlsafe_b64encode(header.encode(errors="surrogatepass")).decode().rstrip("=")

    answer = api.client.get("/recommend/me", headers={"Authorization": f"Bearer {first}.e30.e30"})

    assert answer.status_code == 401


# --- Periods -------------------------------------------------------------------------------


def test_a_period_ends_with_the_request_when_it_would_end_later(api: Api) -> None:
    scope = {"kind": "period", "from": "2025-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}
    body = {"user": "future", "scope": scope}
    headers = SERVICE | {"Idempotency-Key": "a-period"}

    previewed = api.client.post("/forget/preview", json=body, headers=SERVICE).json()
    first = api.client.post("/forget", json=body, headers=headers).json()
    again = api.client.post("/forget", json=body, headers=headers).json()

    assert first["period"] == {"from": "2025-01-01T00:00:00Z", "to": first["received_at"]}
    assert again["period"] == first["period"]
    assert again["request_id"] == first["request_id"]
    assert previewed["period"]["to"] <= first["period"]["to"]


def test_what_happens_later_is_taken_in_when_a_period_without_end_was_forgotten(api: Api) -> None:
    scope = {"kind": "period", "from": "2025-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}
    body = {"user": "goes-on", "scope": scope}
    assert api.client.post("/forget", json=body, headers=SERVICE).status_code == 202
    event = {"user": "goes-on", "event_id": "later", "item_id": "sea-01", "kind": "view"}
    events = [event | {"occurred_at": datetime.now(UTC).isoformat()}]

    answer = api.client.post("/interactions", json=events, headers=SERVICE)

    assert answer.json()["accepted"] == 1


@pytest.mark.parametrize(
    ("start", "end", "wrong"),
    [
        ("9000-01-01T00:00:00Z", "9001-01-01T00:00:00Z", "scope.from"),
        ("0001-01-01T00:00:00+14:00", "2025-01-01T00:00:00Z", "scope.period.from"),
        ("2025-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "scope.period.to"),
    ],
)
def test_a_period_is_422_when_no_clock_of_ours_has_it(
    api: Api, start: str, end: str, wrong: str
) -> None:
    body = {"user": "ada", "scope": {"kind": "period", "from": start, "to": end}}

    for path in ("/forget", "/forget/preview"):
        answer = api.client.post(path, json=body, headers=SERVICE)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == wrong
