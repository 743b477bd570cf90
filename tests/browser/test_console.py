"""The whole way in a real browser: one erasure followed, its log verified, then tampered with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page

from app.adapters.system.signing import FileSigner
from tests.browser.console import Console, Tamperer, visiting
from tests.e2e.calls import Api, user
from tests.e2e.processes import Running

FAR = 4_000_000_000_000_000  # microseconds since 1970
FORGED = (
    b'{"at":"2026-01-01T00:00:00+00:00","kind":"forget.rejected","payload":{},"request_id":null}'
)


@pytest.fixture
def console(browser: Browser, server: Running) -> Iterator[Console]:
    """A console that somebody has signed in to; at the end, nothing was complained of."""
    with visiting(browser, server.url) as console:
        console.sign_in()
        yield console
        assert console.complaints == []


def hashed(body: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + body).digest()


def test_one_erasure_from_received_to_completed_and_then_somebody_tampers(
    console: Console, api: Api, tamperer: Tamperer
) -> None:
    # A second process that serves, and that has not heard of the erasure: it has to wait.
    tamperer.do("INSERT INTO process VALUES ('slow', ?, 0, NULL)", FAR)
    request_id = api.forget(user(3))["request_id"]

    console.request_page(request_id)
    console.wait_until("erasing", step="keys")
    timeline = console.page.get_by_role("region", name="Timeline")
    assert timeline.get_by_text("received").count() == 1
    assert timeline.get_by_role("rowheader", name="neighbours").count() == 0
    console.picture("erasing", schemes=("light",))

    tamperer.do("DELETE FROM process WHERE process_id = 'slow'")
    console.wait_until("completed", step="neighbours")
    probes = console.page.get_by_role("region", name="What the probes found")
    assert probes.get_by_role("row").count() >= 3
    assert probes.locator(".state.failed").count() == 0
    console.picture("request")
    assert user(3) not in console.page.content()
    console.page.get_by_role("link", name="Read it").click()
    assert "Certificate of erasure" in console.page.inner_text("h1")
    assert console.page.evaluate("getComputedStyle(document.body).maxWidth") != "none"
    console.open("/admin")
    console.picture("overview")

    assert console.verify()[0] == "ok"
    console.picture("verified")
    with tamperer.changing(1, body=FORGED):
        outcome, told = console.verify()
        assert outcome == "wrong"
        assert "leaf 1 was changed" in told
        console.picture("tampered")
    assert console.verify()[0] == "ok"

    assert "Proved." in console.prove(user(3))
    console.picture("proof", schemes=("light",))
    assert user(3) not in console.page.content()
    assert "Not proved." in console.prove(user(5))
    assert "It does." in console.reconcile()
    tamperer.do("UPDATE erasure_request SET due_at = due_at + 1 WHERE request_id = ?", request_id)
    assert "do not agree on when it is due" in console.reconcile()
    tamperer.do("UPDATE erasure_request SET due_at = due_at - 1 WHERE request_id = ?", request_id)


def test_a_leaf_forged_with_its_hash_leads_to_another_root(
    console: Console, api: Api, tamperer: Tamperer
) -> None:
    api.completed(api.forget(user(4))["request_id"])
    assert console.verify()[0] == "ok"

    with tamperer.changing(2, body=FORGED, leaf_hash=hashed(FORGED)):
        outcome, told = console.verify()

    assert outcome == "wrong"
    assert "the signed one is" in told
    assert "was changed: it does not have its hash" not in told
    assert "does not continue" in told


@pytest.mark.parametrize(
    ("values", "told_as"),
    [
        ({"seq": 1_000_000}, "leaves were dropped: number 1 to 1"),
        ({"body": b"\xff\xfe"}, "the leaves cannot be read on"),
        ({"leaf_hash": bytes(32)}, "leaf 1 was changed"),
        ({"body": b"<script>document.title = 'owned'</script>"}, "leaf 1 was changed"),
    ],
    ids=["moved", "not text", "hash", "markup"],
)
def test_whatever_is_done_to_a_leaf_is_named(
    console: Console, tamperer: Tamperer, values: dict[str, object], told_as: str
) -> None:
    console.verify()

    with tamperer.changing(1, **values):
        outcome, told = console.verify()

    assert "owned" not in console.page.title()
    console.complaints[:] = [one for one in console.complaints if "INCOMPLETE" not in one]
    assert outcome == "wrong"
    assert told_as in told


def test_a_checkpoint_that_was_changed_is_named(console: Console, tamperer: Tamperer) -> None:
    console.verify()
    ((size, note),) = tamperer.ask(
        "SELECT size, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1"
    )
    assert isinstance(note, str)
    text, _, signature = note.rpartition(" ")
    flipped = f"{signature[:40]}{'B' if signature[40] == 'A' else 'A'}{signature[41:]}"

    tamperer.do("UPDATE audit_checkpoint SET note = ? WHERE size = ?", f"{text} {flipped}", size)
    outcome, told = console.verify()
    tamperer.do("UPDATE audit_checkpoint SET note = ? WHERE size = ?", note, size)

    assert outcome == "wrong"
    assert "refuses to sign" in told
    assert "does not fit the checkpoint" in told  # the browser's own words
    console.complaints.clear()


def test_another_key_than_the_one_given_is_named(console: Console) -> None:
    console.open("/admin/console/log")
    other = "lethe+f80f2fd5+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
    console.page.get_by_label("Public key").fill(other)
    console.page.get_by_role("button", name="Verify in this browser").click()
    result = console.page.locator("#verify-result[data-outcome]")

    assert result.get_attribute("data-outcome") == "wrong"
    assert "does not follow from the key you gave" in result.inner_text()


def test_a_rotated_key_is_followed(console: Console, tamperer: Tamperer) -> None:
    assert console.verify()[0] == "ok"

    FileSigner(tamperer.file.parent / "keys", name="lethe").rotate(at=datetime.now(UTC))
    outcome, told = console.verify()

    assert outcome == "ok", told
    assert "the key follows from the one this browser saw before" in told


def test_logs_of_every_shape_verify(console: Console) -> None:
    """Each verification adds leaves, so the tree takes another shape each time."""
    for _ in range(24):
        outcome, told = console.verify()
        assert outcome == "ok", told


def test_a_browser_that_cannot_check_says_so(browser: Browser, server: Running) -> None:
    without_ed25519 = """
      const importKey = crypto.subtle.importKey.bind(crypto.subtle);
      crypto.subtle.importKey = async (...args) => {
        if (args[2].name === "Ed25519") throw new DOMException("no", "NotSupportedError");
        return importKey(...args);
      };
    """
    insecure = "Object.defineProperty(window, 'isSecureContext', {value: false});"
    for script, reason in ((without_ed25519, "Ed25519"), (insecure, "https")):
        with visiting(browser, server.url) as console:
            console.sign_in()
            console.page.add_init_script(script)
            outcome, told = console.verify()

            assert outcome == "unsure"
            assert reason in told
            assert "Verified" not in told


def test_a_session_that_has_ended_says_so(console: Console) -> None:
    console.open("/admin/console/log")
    console.page.context.clear_cookies()
    console.page.get_by_role("button", name="Verify in this browser").click()
    result = console.page.locator("#verify-result[data-outcome]")

    assert result.get_attribute("data-outcome") == "unsure"
    assert "signed out" in result.inner_text()
    assert len(console.complaints) == 1
    assert "401" in console.complaints.pop()


def test_everything_but_the_check_works_without_scripts(
    browser: Browser, server: Running, api: Api, tamperer: Tamperer
) -> None:
    tamperer.do("INSERT INTO process VALUES ('slow', ?, 0, NULL)", FAR)
    request_id = api.forget(user(5), scope={"kind": "items", "item_ids": ["i05"]})["request_id"]
    with visiting(browser, server.url, scripts=False) as console:
        console.sign_in()
        console.request_page(request_id)
        console.page.get_by_role("link", name="Extend…").click()
        console.page.get_by_label("Why it takes longer").select_option("complexity")
        console.page.get_by_label("When the person was told").fill(
            f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
        )
        console.page.get_by_role("button", name="Extend").click()
        assert "moved by two months" in console.page.get_by_role("status").inner_text()
        console.page.get_by_role("link", name="Audit log").click()
        assert "needs JavaScript" in console.page.inner_text("#verify")
        assert not console.page.get_by_role("button", name="Verify").is_visible()
        console.page.get_by_role("link", name="Stores").click()
        assert "behind" in console.page.inner_text("main")
        console.page.get_by_role("button", name="Sign out").click()
        assert "Sign in" in console.page.inner_text("h1")
    tamperer.do("DELETE FROM process WHERE process_id = 'slow'")
    api.completed(request_id)


def test_the_keyboard_reaches_everything_and_the_focus_is_seen(console: Console) -> None:
    console.open("/admin/console/requests")
    reached = []
    for _ in range(11):
        console.page.keyboard.press("Tab")
        reached.append(
            console.page.evaluate(
                "[document.activeElement.textContent.trim(),"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
        )

    names = [name for name, _ in reached]
    assert names[:10] == [
        *("Skip to the content", "Lethe", "Overview", "Requests", "Person", "Report", "Audit log"),
        *("Proof", "Stores", "Sign out admin"),
    ]
    assert {outline for _, outline in reached} == {"solid"}


def test_no_script_and_no_other_site_has_the_cookie(console: Console) -> None:
    (cookie,) = console.page.context.cookies()

    assert cookie["name"] == "lethe_console"
    assert cookie["httpOnly"] is True
    assert cookie["sameSite"] == "Strict"
    assert console.page.evaluate("document.cookie") == ""


@pytest.mark.parametrize("width", [1100, 390])
def test_an_officer_finds_what_is_due_and_acts_on_it_on_a_desk_and_on_a_phone(
    console: Console, api: Api, width: int
) -> None:
    page, late = console.page, (datetime.now(UTC) - timedelta(days=45)).isoformat()
    page.set_viewport_size({"width": width, "height": 844})
    asked = {"scope": {"kind": "all"}, "hold": True, "requested_at": late}
    ticket = str(uuid4())
    body = asked | {"user": user(6 + (width == 390)), "subject_request_id": ticket}
    request_id = api.ask("POST", "/forget", json=body)["request_id"]

    console.open("/admin")
    fits(page)
    newest = page.locator("figure.newest > .wide")
    bar = newest.locator("rect.bar").last.bounding_box()
    assert bar is not None
    assert 0 <= bar["x"] <= width  # the newest day is in sight
    page.locator("dt", has_text="Overdue").locator("xpath=..").get_by_role("link").click()
    overdue = page.locator("tr", has=page.locator(f'a[href$="{request_id}"]'))
    due = overdue.get_by_text("overdue by").bounding_box()
    assert due is not None
    assert due["x"] + due["width"] <= width
    page.get_by_label("Request, ticket or receipt").fill(ticket)
    page.get_by_role("button", name="Find").click()
    page.wait_for_url(f"**/{request_id}")
    for name in ("Requests", "Person", "Report"):
        link = page.get_by_role("link", name=name, exact=True).first.bounding_box()
        assert link is not None
        assert link["height"] >= (44 if width == 390 else 24)
    fits(page)
    page.get_by_role("link", name="Note…").click()
    page.get_by_label("Note").fill("asked by telephone")
    page.get_by_role("button", name="Note").click()
    assert "asked by telephone" in page.inner_text("main")
    page.get_by_role("link", name="received", exact=True).click()
    assert ticket in page.inner_text("pre.letter")
    fits(page)
    for path in ("report", "person", "requests?view=due"):
        console.open(f"/admin/console/{path}")
        fits(page)


def fits(page: Page) -> None:
    """Nothing of a page but its wide tables has to be scrolled sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


def test_an_officer_forgets_a_person_from_one_page(console: Console) -> None:
    page = console.page
    console.open("/admin/console/person")
    page.get_by_label("Id").fill(user(8))
    page.get_by_role("button", name="Look").click()
    assert "in their own words" in page.inner_text("main")
    page.get_by_label("Why nothing may be erased for now").select_option("legal_claims")
    page.get_by_role("button", name="Hold", exact=True).click()
    assert "Nothing of this person is erased" in page.inner_text("main")
    assert user(8) not in page.url

    page.get_by_role("button", name="Forget", exact=True).click()

    page.wait_for_url("**/requests/*")
    assert console.state() == "on hold"
    assert user(8) not in page.content()
