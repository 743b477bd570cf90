"""The page for people who look, used with nothing but a keyboard, on a desk and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from app.data import verify_lethe
from tests.browser.console import Console, visiting
from tests.e2e.calls import Api, user
from tests.e2e.processes import Running, wait_for


def press_until(page: Page, selector: str, *, most: int = 40) -> None:
    """Press Tab until what is wanted has the focus."""
    for _ in range(most):
        if page.locator(f"{selector}:focus").count():
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way to {selector} by keyboard")


def opened(console: Console, name: str) -> Page:
    console.open("/")
    page = console.page
    page.locator("#list li").first.wait_for()
    page.wait_for_load_state("networkidle")
    press_until(page, "#user")
    page.keyboard.press("Control+A")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.get_by_text("own memories it rests on").wait_for()
    return page


@pytest.mark.parametrize(("width", "number"), [(1280, 5), (390, 6)])
def test_a_reader_dislikes_forgets_and_checks_the_certificate_by_keyboard(
    browser: Browser, server: Running, tmp_path: Path, width: int, number: int
) -> None:
    with visiting(browser, server.url) as console:
        console.page.set_viewport_size({"width": width, "height": 800})
        page = opened(console, user(number))
        titles = page.locator("#list .title").all_inner_texts()
        assert page.locator("#list .why").first.inner_text().startswith("because of Title")

        press_until(page, "#list button")
        page.keyboard.press("Enter")
        page.locator("#list-heading:focus").wait_for()
        assert titles[0] not in page.locator("#list .title").all_inner_texts()

        press_until(page, "#topic")
        page.keyboard.type("whales")
        page.keyboard.press("Enter")
        page.locator("#forget-topic").wait_for(state="visible")
        press_until(page, "#forget-all")
        page.keyboard.press("Enter")
        page.get_by_text("the list that a stranger gets").wait_for()
        page.locator("#certificate").wait_for(state="visible", timeout=60_000)

        assert page.locator("#steps .ok").count() == page.locator("#steps li").count() == 9
        assert page.locator("#checks .ok").count() == page.locator("#checks li").count() == 6
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        with page.expect_download() as download:
            press_until(page, "#download")
            page.keyboard.press("Enter")
        download.value.save_as(tmp_path / "certificate.json")
        kept = (tmp_path / "certificate.json").read_bytes()
        assert verify_lethe.verify_document(kept).n_wrong == 0
        assert console.complaints == []


def test_the_browser_notices_what_was_changed_in_a_certificate(
    browser: Browser, server: Running, api: Api
) -> None:
    accepted = api.forget(user(7))
    path = f"/forget/{accepted['request_id']}"
    certificate = wait_for("a certificate", lambda: api.ask("GET", path)["certificate"])
    statement, proof = certificate["statement"], certificate["proof"]
    late = statement | {"completed_at": "2020-01-01T00:00:00Z"}
    dirty = statement | {"probes": [one | {"residue": 1} for one in statement["probes"]]}
    other = proof["leaf"].replace("forget", "forgot")
    changed = {
        "nothing": certificate,
        "time": certificate | {"statement": late},
        "residue": certificate | {"statement": dirty},
        "leaf": certificate | {"proof": proof | {"leaf": other}},
        "path": certificate | {"proof": proof | {"path": proof["path"][:-1]}},
        "proof": {name: part for name, part in certificate.items() if name != "proof"},
    }

    with visiting(browser, server.url) as console:
        console.open("/")
        wrong = {
            what: {
                check["name"]
                for check in console.page.evaluate(
                    "([one, user, salt]) => window.checkCertificate(one, { user, salt })",
                    [document, user(7), accepted["receipt"]["salt"]],
                )
                if not check["isOk"]
            }
            for what, document in changed.items()
        }

    assert wrong == {
        "nothing": set(),
        "time": {"Signature", "Leaf"},
        "residue": {"Signature", "Statement", "Leaf"},
        "leaf": {"Signature", "Place in the log"},
        "path": {"Signature", "Place in the log"},
        "proof": {"Signature", "Leaf", "Place in the log"},
    }
