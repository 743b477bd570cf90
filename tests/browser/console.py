"""The console as its pages are used, and the database as someone who means harm uses it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from app.settings_groups import DEVELOPMENT_ADMIN_TOKEN
from tests.e2e.processes import wait_for

_PICTURES: Final = os.environ.get("LETHE_TEST_PICTURES")
"""Where to put the pictures of the documentation; none are made where it is unset."""
_SIZE: Final = {"width": 1100, "height": 760}


@dataclass
class Console:
    """A page of the console in a browser, and what the browser had to complain of."""

    url: str
    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        # The certificate is a page to mail and to keep, so it has no icon.
        is_icon = message.location["url"].endswith("/favicon.ico")
        if message.type in {"error", "warning"} and not is_icon:
            self.complaints.append(message.text)

    def open(self, path: str = "/admin") -> None:
        """Go to a page."""
        self.page.goto(f"{self.url}{path}")

    def sign_in(self) -> None:
        """Sign in, by keyboard alone: the field has the focus already."""
        self.open()
        self.page.locator("#token:focus").wait_for()
        self.page.keyboard.type(DEVELOPMENT_ADMIN_TOKEN)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/admin")

    def request_page(self, request_id: str) -> None:
        """Go to a request by way of the list."""
        self.page.get_by_role("link", name="Requests").click()
        self.page.locator(f'a[href$="{request_id}"]').click()

    def state(self) -> str:
        """Return the state that the heading of a request's page tells."""
        return self.page.locator("h1 .state").inner_text()

    def wait_until(self, state: str, *, step: str) -> None:
        """Look again until the request is in that state, with that step done."""
        done = self.page.get_by_role("rowheader", name=step, exact=True)

        def look() -> bool:
            self.page.reload()
            return self.state() == state and done.count() == 1

        wait_for(f"the page says {state} and {step}", look)

    def verify(self) -> tuple[str, str]:
        """Let the browser check the log; return the outcome and what it says."""
        self.open("/admin/console/log")
        self.page.get_by_role("button", name="Verify in this browser").click()
        result = self.page.locator("#verify-result[data-outcome]")
        result.wait_for(timeout=60_000)
        return result.get_attribute("data-outcome") or "", result.inner_text()

    def prove(self, user: str) -> str:
        """Ask for proof that a user is forgotten, by keyboard; return what the page says."""
        self.open("/admin/console/proof")
        self.page.get_by_label("User").press_sequentially(user)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/proof/user")
        return self.page.inner_text("main")

    def reconcile(self) -> str:
        """Compare the log with the rows; return what the page says."""
        self.open("/admin/console/proof")
        self.page.get_by_role("button", name="Compare the log with the rows").click()
        self.page.wait_for_url("**/proof/log")
        return self.page.inner_text("main")

    def picture(self, name: str, *, schemes: tuple[str, ...] = ("light", "dark")) -> None:
        """Keep a picture of the page for the documentation, if asked to."""
        if _PICTURES is None:
            return
        for scheme in schemes:
            self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            self.page.screenshot(path=Path(_PICTURES) / f"console-{name}-{scheme}.png")
        self.page.emulate_media(color_scheme="light")


@contextmanager
def visiting(browser: Browser, url: str, **options: bool) -> Iterator[Console]:
    """Give a console in a browser that has never been there."""
    context: BrowserContext = browser.new_context(
        viewport={"width": _SIZE["width"], "height": _SIZE["height"]},
        java_script_enabled=options.get("scripts", True),
    )
    try:
        yield Console(url, context.new_page())
    finally:
        context.close()


@dataclass(frozen=True, slots=True)
class Tamperer:
    """Someone with the database's file, who knows about triggers."""

    file: Path

    def do(self, statement: str, *parameters: object) -> None:
        """Execute a statement as if there were no triggers."""
        with closing(sqlite3.connect(self.file, timeout=30)) as connection, connection:
            triggers = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall()
            for name, _ in triggers:
                connection.execute(f'DROP TRIGGER "{name}"')
            connection.execute(statement, parameters)
            for _, sql in triggers:
                connection.execute(sql)

    def ask(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        """Return rows."""
        with closing(sqlite3.connect(self.file, timeout=30)) as connection:
            return connection.execute(query, parameters).fetchall()

    @contextmanager
    def changing(self, leaf: int, /, **values: object) -> Iterator[None]:
        """Change columns of a leaf until the block ends."""
        names = list(values)
        columns = ", ".join(names)
        (before,) = self.ask(f"SELECT {columns} FROM audit_leaf WHERE seq = ?", leaf)  # noqa: S608 - names of our own
        self._set(leaf, dict(values))
        try:
            yield
        finally:
            moved = int(str(values.get("seq", leaf)))
            self._set(moved, dict(zip(names, before, strict=True)))

    def _set(self, seq: int, values: dict[str, object]) -> None:
        assignments = ", ".join(f"{name} = ?" for name in values)
        self.do(f"UPDATE audit_leaf SET {assignments} WHERE seq = ?", *values.values(), seq)  # noqa: S608 - the same
