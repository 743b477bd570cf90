"""The console's pages, read as a browser without scripts reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from fastapi.testclient import TestClient

from app.adapters.system.signing import is_signed
from app.console.headers import CONTENT_SECURITY_POLICY
from app.console.requests import Row
from app.console.timeline import LeafView, actions, events
from app.data.verify_lethe import parse_key, verify_document
from app.domain.audit.entries import Leaf, LeafKind, StoredLeaf
from app.domain.erasure.request import TRANSITIONS, RequestState
from app.domain.models import RequestId
from tests.api.conftest import SERVICE, Api
from tests.api.console_client import Page, administering, fields_of, send, visiting

USER: Final = "console-reader@example.org"
HOSTILE: Final = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
LIST: Final = "/admin/console/requests"
ORDER: Final = ("received", "suppressed", "drain", "memory", "rows", "probe", "completed")


@pytest.fixture
def client(api: Api) -> Iterator[TestClient]:
    with administering(api) as client:
        yield client


def forget(api: Api, user: str, *, kind: str = "all") -> RequestId:
    """Let ``user`` have done something, and ask to forget it; the worker has not looked yet."""
    api.world.read(user, ["sea-01", "sea-02", "sea-03"])
    scope = {"kind": kind} | ({"item_ids": ["sea-01"]} if kind == "items" else {})
    answer = api.client.post("/forget", json={"user": user, "scope": scope}, headers=SERVICE)
    assert answer.status_code == 202
    return RequestId(answer.json()["request_id"])


@pytest.fixture(scope="module")
def completed(api: Api) -> RequestId:
    request_id = forget(api, USER)
    assert api.world.erase(request_id)
    return request_id


@pytest.fixture(scope="module")
def pages(api: Api, completed: RequestId) -> dict[str, str]:
    """Every page there is, by its address."""
    waiting = forget(api, f"waiting-{USER}")
    paths = [
        "/admin",
        LIST,
        f"{LIST}?state=completed",
        f"{LIST}?state=failed",
        f"{LIST}/{completed}",
        f"{LIST}/{waiting}",
        f"{LIST}/{waiting}/hold",
        f"{LIST}/{waiting}/reject",
        f"{LIST}/{'0' * 32}",
        "/admin/console/log",
        f"/admin/console/log?request_id={completed}&kind=",
        "/admin/console/log?kind=forget.completed&request_id=",
        "/admin/console/log?after=99999",
        "/admin/console/log?after=none",
        "/admin/console/stores",
    ]
    with administering(api) as client, visiting(api) as visitor:
        found = {path: client.get(path).text for path in paths}
        return found | {"/admin/console/sign-in": visitor.get("/admin/console/sign-in").text}


def test_no_page_holds_a_script_or_a_style(pages: dict[str, str]) -> None:
    for path, text in pages.items():
        page = Page(text)
        assert all(script.get("src") for script in page.all("script")), path
        assert not page.all("style"), path
        for tag, attributes in page.elements:
            bad = [name for name in attributes if name == "style" or name.startswith("on")]
            assert not bad, (path, tag)
            for name in ("src", "href", "action"):
                address = attributes.get(name) or "/"
                assert re.match(r"/(?!/)|\?|#", address), (path, address)


def test_every_page_can_be_read_by_anyone(pages: dict[str, str]) -> None:
    for path, text in pages.items():
        page = Page(text)
        assert page.unclosed == [], path
        assert page.all("html") == [{"lang": "en"}], path
        assert len(page.all("h1")) == 1, path
        assert len(page.all("main")) == 1, path
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids)), path
        labelled = {label.get("for") for label in page.all("label")}
        for one in [*page.all("input"), *page.all("select")]:
            assert one.get("type") == "hidden" or one["id"] in labelled, (path, one)
        assert all("scope" in one for one in page.all("th")), path
        assert all("alt" in one for one in page.all("img")), path
        assert not [one for _, one in page.elements if (one.get("tabindex") or "0") > "0"], path


def test_no_page_names_the_user(api: Api, pages: dict[str, str]) -> None:
    traces = [USER, api.world.user(USER), api.world.user(f"waiting-{USER}"), "Whale voyage"]

    for path, text in pages.items():
        assert [trace for trace in traces if trace in text] == [], path


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        LIST,
        f"{LIST}/{'0' * 32}",
        f"{LIST}/nonsense",
        "/admin/console/log",
        "/admin/console/log/evidence",
        "/admin/console/log/leaves?after=none",
        "/admin/console/stores",
        "/admin/console/sign-in",
        "/admin/console/static/any/verify.js",
        "/admin/console/static/any/nothing.js",
        "/admin/console/nothing",
    ],
)
def test_every_answer_carries_the_policy(client: TestClient, path: str) -> None:
    headers = client.get(path).headers

    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; ")
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY


def test_files_are_kept_by_their_version_and_nothing_else_is_served(client: TestClient) -> None:
    address = re.search(
        r'href="(/admin/console/static/\w+/console.css)"', client.get("/admin").text
    )
    assert address

    assert "immutable" in client.get(address[1]).headers["cache-control"]
    for name in ("__init__.py", "..%2Ffiles.py", "%2e%2e", "base.html"):
        assert client.get(f"/admin/console/static/x/{name}").status_code == 404


def test_a_request_is_told_step_by_step(client: TestClient, completed: RequestId) -> None:
    said = Page(client.get(f"{LIST}/{completed}").text).says()

    timeline = said.partition("Timeline")[2]
    places = [timeline.index(word) for word in ORDER]
    assert places == sorted(places)
    assert "Records before" in said
    assert "Planted control" in said
    assert "Backups" in said or "backups" in said


def test_the_certificate_can_be_read_and_checked(
    api: Api, client: TestClient, completed: RequestId
) -> None:
    page = client.get(f"{LIST}/{completed}/certificate")
    file = client.get(f"{LIST}/{completed}/certificate.json")

    assert "Certificate of erasure" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert f"certificate-{completed}.json" in file.headers["content-disposition"]
    key = parse_key(api.world.adapters.signer.current().key.encode())
    report = verify_document(file.content, pinned=[key])
    assert report.n_wrong == 0, report.lines


def test_a_request_without_a_certificate_has_none(api: Api, client: TestClient) -> None:
    request_id = forget(api, "no-certificate-yet")

    assert client.get(f"{LIST}/{request_id}/certificate").status_code == 404
    assert client.get(f"{LIST}/{request_id}/certificate.json").status_code == 404


def test_hold_release_extend_and_reject(api: Api, client: TestClient) -> None:
    request_id = forget(api, "held")
    here = f"{LIST}/{request_id}"

    assert "Nothing is erased until" in client.get(f"{here}/hold").text
    done = send(client, f"{here}/hold")
    assert done.headers["location"] == f"{here}?done=hold"
    assert "on hold" in Page(client.get(done.headers["location"]).text).says()
    assert send(client, f"{here}/release").status_code == 303
    assert send(client, f"{here}/extend", reason="", told_at="").status_code == 422
    told = {"reason": "complexity", "told_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"}
    assert send(client, f"{here}/extend", **told).status_code == 303
    assert "the person was told" in Page(client.get(here).text).says()
    assert client.get(f"{here}/extend").status_code == 409

    assert send(client, f"{here}/reject", ground="").status_code == 422
    assert send(client, f"{here}/reject", ground="because").status_code == 422
    assert send(client, f"{here}/reject", ground="legal_claims").status_code == 303
    said = Page(client.get(here).text).says()
    assert "rejected" in said
    assert "legal claims" in said
    kinds = [leaf.kind for leaf in leaves_of(api, request_id)]
    assert [one for one in kinds if one in {"forget.on_hold", "forget.released"}] == [
        "forget.on_hold",
        "forget.released",
    ]
    assert {"forget.extended", "forget.rejected"} <= set(kinds)


@pytest.mark.parametrize("name", ["retry", "hold", "release", "reject", "extend"])
def test_nothing_can_be_done_with_what_is_completed(
    client: TestClient, completed: RequestId, name: str
) -> None:
    csrf = fields_of(client.get("/admin").text)

    assert client.get(f"{LIST}/{completed}/{name}").status_code == 409
    words = {"ground": "expression", "reason": "complexity", "told_at": "2026-01-01T12:00"}
    if name == "extend":
        words["told_at"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M}"
    answer = client.post(f"{LIST}/{completed}/{name}", data=csrf | words)
    assert answer.status_code == 409
    assert "<h1>Conflict</h1>" in answer.text


@pytest.mark.parametrize("path", [f"{LIST}/{'0' * 32}", f"{LIST}/{'0' * 32}/hold"])
def test_an_unknown_request_is_404(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def leaves_of(api: Api, request_id: RequestId) -> list[LeafView]:
    with api.world.adapters.uows.read() as uow:
        leaves = uow.audit.page(after=-1, limit=100, kind=None, request_id=request_id)
    return [LeafView.of(leaf) for leaf in leaves]


def test_actions_offered_are_legal_moves(api: Api) -> None:
    request = api.world.container.forget.status(forget(api, "offered")).request

    offered = {action.name for action in actions(request, now=request.received_at)}

    assert offered == {"hold", "reject", "extend", "note"}
    assert (request.state, RequestState.ON_HOLD) in TRANSITIONS
    assert (request.state, RequestState.REJECTED) in TRANSITIONS


def test_the_list_is_filtered_and_paged(api: Api, client: TestClient) -> None:
    for number in range(52):
        api.world.container.operations.hold(forget(api, f"many-{number}", kind="items"))

    first = Page(client.get(f"{LIST}?state=on_hold").text)
    older = next(link["href"] for link in first.all("a") if link.get("rel") == "next")
    second = Page(client.get(f"{LIST}{older}").text)

    def listed(page: Page) -> list[str]:
        links = [link.get("href") or "" for link in page.all("a") if link.get("class") == "mono"]
        return [link.rpartition("/")[2] for link in links]

    assert len(listed(first)) == 50
    assert len(listed(second)) >= 2
    assert not {*listed(first)} & {*listed(second)}
    assert not [link for link in second.all("a") if link.get("rel") == "next"]


def test_what_is_overdue_is_marked(api: Api) -> None:
    request = api.world.container.forget.status(forget(api, "late")).request

    on_time = Row.of(request, now=request.due_at - timedelta(days=2, hours=3))
    late = Row.of(request, now=request.due_at + timedelta(hours=5))

    assert (on_time.due, on_time.is_overdue) == ("in 2 days", False)
    assert (late.due, late.is_overdue) == ("overdue by 5 hours", True)


def test_looking_at_the_log_is_a_leaf(api: Api, client: TestClient) -> None:
    with api.world.adapters.uows.read() as uow:
        before = uow.audit.size()

    client.get("/admin/console/log")
    client.get("/admin/console/log?kind=audit.read&request_id=")

    with api.world.adapters.uows.read() as uow:
        added = uow.audit.page(after=before - 1, limit=9, kind=None, request_id=None)
    assert [LeafView.of(leaf).kind for leaf in added] == ["audit.read", "audit.read"]


def test_hostile_leaves_are_shown_and_do_nothing(api: Api, client: TestClient) -> None:
    at = api.world.container.clock.now()
    with api.world.adapters.uows.write() as uow:
        uow.audit.append([Leaf(LeafKind.FORGET_FAILED, at, None, {HOSTILE: HOSTILE})])

    text = client.get("/admin/console/log").text

    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "&lt;script&gt;alert" in text


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b'{"kind":1}', b"\xff\xfe", HOSTILE.encode(), b"null"],
)
def test_a_leaf_that_is_none_is_shown_as_it_is(body: bytes) -> None:
    view = LeafView.of(StoredLeaf(7, body, b"\x00" * 32))

    assert view.kind == "unreadable"
    assert view.facts == [("body", body.decode(errors="replace"))]


@pytest.mark.parametrize(
    "path",
    [
        f"{LIST}/<script>",
        f"{LIST}?state=<script>",
        f"{LIST}?before=<script>",
        "/admin/console/log?request_id=<script>",
        f"{LIST}?done=<script>",
    ],
)
def test_what_is_sent_is_not_repeated(client: TestClient, path: str) -> None:
    assert "<script>" not in client.get(path).text.replace("<script src", "")


@pytest.mark.usefixtures("completed")
def test_the_evidence_proves_the_log(api: Api, client: TestClient) -> None:
    api.world.container.checkpoints.make()

    evidence = client.get("/admin/console/log/evidence").json()
    lines = client.get(f"/admin/console/log/leaves?size={evidence['size']}").text.splitlines()

    assert evidence["refusal"] is None
    assert len(lines) == evidence["size"]
    assert evidence["key"] == api.world.adapters.signer.current().key.encode()
    newest = api.world.container.checkpoints.newest()
    newest.note.verify([api.world.adapters.signer.current().key], is_signed=is_signed)
    assert evidence["note"] == newest.note.encode()


def test_more_leaves_than_there_are_is_404(client: TestClient) -> None:
    assert client.get("/admin/console/log/leaves?size=9007199254740991").status_code == 404
    assert client.get("/admin/console/log/leaves?size=0").status_code == 422


def test_a_step_comes_before_the_move_it_led_to(api: Api, completed: RequestId) -> None:
    status = api.world.container.forget.status(completed)

    told = events(status.request, leaves=leaves_of(api, completed), steps=status.steps)

    assert [event.at for event in told] == sorted(event.at for event in told)
    assert told[0].state == "received"
    assert told[-1].state == "completed"
    assert sum(event.step is not None for event in told) == len(status.steps)
