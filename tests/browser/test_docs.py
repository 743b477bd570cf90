from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import Browser, Route

from tests.e2e.processes import Running


def test_docs_shows_every_operation_when_there_is_no_other_host(
    browser: Browser, server: Running
) -> None:
    foreign: list[str] = []
    told: list[str] = []

    def only_ours(route: Route) -> None:
        if urlsplit(route.request.url).netloc == urlsplit(server.url).netloc:
            route.continue_()
        else:
            foreign.append(route.request.url)
            route.abort()

    page = browser.new_page()
    page.route("**/*", only_ours)
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto(f"{server.url}/docs")
    page.wait_for_selector("#operations-forget-forget")

    n_operations = page.locator(".opblock").count()
    page.click("#operations-forget-forget .opblock-summary-control")
    page.wait_for_selector("#operations-forget-forget .responses-table")
    declared = page.request.get(f"{server.url}/openapi.json").json()["paths"].values()
    page.close()

    assert n_operations == sum(len(operations) for operations in declared)
    assert foreign == []
    assert told == [], "the content security policy is in nobody's way"
