"""Takes the pictures of docs/console.md: the demo set, and five weeks of requests, in Chromium.

python -m benchmarks.demo.console    # writes docs/images/console-*.png, some 3 minutes

The requests are made by the service itself under a clock that is set back and goes forward, so log
and rows agree; the pages are those of a real ``lethe serve`` over the same directory.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, ViewportSize

from app.adapters.chroma.heap import require_overwritten_heap
from app.bootstrap.adapters import Adapters
from app.bootstrap.database import prepare_database
from app.bootstrap.services import container_of
from app.cli.loading import load_dataset
from app.container import Container
from app.domain.erasure.request import Extension, Ground, Reason
from app.domain.erasure.scope import AllScope, ItemsScope, Scope, TopicScope
from app.domain.models import RequestId
from app.ports.dataset import DatasetKind
from app.services.erasure.requests import ForgetCommand
from app.settings import Settings
from tests.browser.console import Console, Tamperer, visiting
from tests.e2e.processes import serving
from tests.servers.chromium import running_chromium
from tests.world import MovedClock

PICTURES: Final = Path(__file__).parents[2] / "docs/images"
N_REQUESTS: Final = 18
DAYS: Final = 35
_PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
_SCREEN: Final[ViewportSize] = {"width": 1100, "height": 760}
_HELD, _EXTENDED, _REJECTED, _FRESH = (1, 5, 8, 16)
"""Which of the requests an officer has to do with: the first is overdue by now."""
_READER: Final = "reader-200"


@dataclass
class Weeks:
    """Five weeks of a service's life."""

    adapters: Adapters
    container: Container
    clock: MovedClock

    def live(self) -> RequestId:
        """Let people ask, and work on it within the day; return the last completed request."""
        last = RequestId("")
        for number in range(N_REQUESTS):
            self.clock.ahead = timedelta(days=-DAYS * (1 - number / N_REQUESTS), hours=number % 7)
            self.container.feed.acknowledge()
            request_id = self._ask(number)
            self.clock.ahead += timedelta(minutes=3 + 7 * (number % 5))
            if number == _EXTENDED:
                self.container.operations.extend(
                    request_id, extension=Extension.COMPLEXITY, told_at=self.clock.now()
                )
            elif number == _REJECTED:
                self.container.operations.reject(request_id, ground=Ground.LEGAL_CLAIMS)
            elif number not in {_HELD, _FRESH}:
                self.adapters.neighbours.refresh()
                self.container.feed.acknowledge()
                if request_id in self.container.erase.execute(request_id):
                    last = request_id
        return last

    def _ask(self, number: int) -> RequestId:
        user = self.adapters.identity.pseudonym(f"reader-{number + 1:03}")
        scope: Scope = AllScope()
        if number % 8 == 3:
            scope = TopicScope("Sherlock Holmes")
        elif number % 8 == 6:
            with self.adapters.uows.read() as uow:
                history = uow.interactions.history(user, with_texts=False)
            scope = ItemsScope(tuple(sorted({one.item_id for one in history if one.item_id})[:3]))
        is_held = number in {_HELD, _EXTENDED, _REJECTED, _FRESH}
        command = ForgetCommand(user, scope, reason=Reason.CONSENT_WITHDRAWN, is_held=is_held)
        return self.container.forget.accept(command).request.request_id


def lived(settings: Settings) -> RequestId:
    """Fill an empty directory; return the request whose page is shown."""
    prepare_database(settings)
    with ExitStack() as closing:
        adapters = Adapters(settings, closing)
        clock = MovedClock()
        clock.ahead = timedelta(days=-DAYS - 1)
        adapters.clock = clock
        container = container_of(adapters)
        container.restore.check()
        load_dataset(container.load.load, kind=DatasetKind.DEMO, path=None)
        container.feed.start()
        last = Weeks(adapters, container, clock).live()
        container.feed.stop()
    return last


class Camera:
    """Takes pictures of a page as wide as a desk's window and as a phone's."""

    def __init__(self, page: Page) -> None:
        """Begin with the desk's."""
        self._page = page

    def shoot(self, name: str, *, is_dark: bool = False, is_phone: bool = False) -> None:
        """Write ``console-<name>-<light, dark or phone>.png``."""
        self._page.set_viewport_size(_PHONE if is_phone else _SCREEN)
        self._page.emulate_media(color_scheme="dark" if is_dark else "light")
        kind = "phone" if is_phone else "dark" if is_dark else "light"
        self._page.screenshot(path=PICTURES / f"console-{name}-{kind}.png")
        self._page.set_viewport_size(_SCREEN)
        self._page.emulate_media(color_scheme="light")


def walk(console: Console, request_id: RequestId, tamperer: Tamperer) -> None:
    """Take all pictures."""
    page, camera = console.page, Camera(console.page)
    console.sign_in()
    for name, path in (
        ("overview", "/admin"),
        ("requests", "/admin/console/requests"),
        ("request", f"/admin/console/requests/{request_id}"),
        ("report", "/admin/console/report"),
    ):
        console.open(path)
        camera.shoot(name)
        camera.shoot(name, is_phone=True)
    console.open("/admin")
    camera.shoot("overview", is_dark=True)
    console.open("/admin/console/requests?state=on_hold")
    page.locator("main table a").first.click()
    page.get_by_role("link", name="Reject").click()
    camera.shoot("confirm")
    console.open("/admin/console/person")
    page.get_by_label("Id", exact=True).fill(_READER)
    page.keyboard.press("Enter")
    page.wait_for_load_state()
    camera.shoot("person")
    camera.shoot("person", is_phone=True)
    console.prove("reader-001")
    camera.shoot("proof")
    console.verify()
    camera.shoot("verified")
    ((leaf,),) = tamperer.ask("SELECT max(seq) - 5 FROM audit_leaf")
    ((body,),) = tamperer.ask("SELECT body FROM audit_leaf WHERE seq = ?", leaf)
    if not isinstance(body, bytes):
        raise TypeError("a leaf's body is bytes")
    at = next(place for place, one in enumerate(body) if chr(one).isdigit())
    digit = str((int(chr(body[at])) + 1) % 10).encode()
    with tamperer.changing(int(str(leaf)), body=body[:at] + digit + body[at + 1 :]):
        console.verify()
        camera.shoot("tampered")


def main() -> None:
    """Live five weeks, then look at them."""
    with tempfile.TemporaryDirectory(prefix="lethe-pictures-") as name:
        folder = Path(name)
        request_id = lived(Settings.model_validate({"data_dir": folder / "data"}))
        with (
            running_chromium() as browser,
            serving({"LETHE_DATA_DIR": str(folder / "data")}, folder=folder) as running,
            visiting(browser, running.url) as console,
        ):
            walk(console, request_id, Tamperer(folder / "data" / "lethe.db"))


if __name__ == "__main__":
    require_overwritten_heap()
    main()
