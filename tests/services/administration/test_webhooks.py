"""Who registered is told of each change of a request, in order, signed, and of nobody."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from app.adapters.system.webhook import HttpWebhookSender
from app.domain.erasure.request import Ground
from app.domain.erasure.scope import AllScope
from app.domain.errors import DependencyUnavailableError
from app.domain.models import RequestId
from app.services.erasure.requests import ForgetCommand
from app.settings_groups import WebhookSettings
from tests.world import World, open_world

SECRET: Final = "0123456789abcdef-webhook-secret!"
SEA: Final = [f"sea-{number:02d}" for number in range(4)]


@dataclass
class Receiver:
    """A real receiver on the loopback interface, which answers what a test says."""

    url: str = ""
    status: int = 204
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append((dict(self.headers.items()), body))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/told"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def world(tmp_path: Path, receiver: Receiver) -> Iterator[World]:
    told = WebhookSettings.model_validate(
        {"urls": [receiver.url], "secret": SECRET, "allow_private": True}
    )
    with open_world(tmp_path, webhooks=told) as opened:
        opened.populate()
        opened.container.webhooks.deliver()
        yield opened


def forget(world: World, name: str, *, is_held: bool = False, ticket: str = "") -> RequestId:
    command = ForgetCommand(
        world.user(name), AllScope(), is_held=is_held, subject_request_id=ticket or None
    )
    return world.container.forget.accept(command).request.request_id


def test_each_change_is_told_once_in_order_with_the_fields_of_opendsr(
    world: World, receiver: Receiver
) -> None:
    ticket = str(uuid4())
    request_id = forget(world, "reader-1", ticket=ticket)
    world.container.webhooks.deliver()
    assert world.erase(request_id)
    for _ in range(2):
        world.container.webhooks.deliver()

    told = receiver.told()
    states = ["suppressed", "erasing", "scrubbed", "verifying", "completed"]
    assert [one["status"] for one in told] == states
    words = ["pending", *["in_progress"] * 3, "completed"]
    assert [one["request_status"] for one in told] == words
    assert {one["subject_request_id"] for one in told} == {ticket}
    assert told[-1]["results_url"] == f"/forget/{request_id}/certificate"
    assert [one["seq"] for one in told] == sorted({one["seq"] for one in told})


def test_what_is_told_is_signed_with_its_time_and_names_nobody(
    world: World, receiver: Receiver
) -> None:
    request_id = forget(world, "reader-2", is_held=True)
    world.container.operations.reject(request_id, ground=Ground.LEGAL_CLAIMS)
    world.container.webhooks.deliver()

    for headers, body in receiver.got:
        moment, found = (part.partition("=")[2] for part in headers["Lethe-Signature"].split(","))
        signed = hmac.new(SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256)
        assert hmac.compare_digest(found, signed.hexdigest())
        assert b"reader-2" not in body
        assert world.user("reader-2").encode() not in body
    assert [one["status"] for one in receiver.told()] == ["suppressed", "on_hold", "rejected"]
    assert receiver.told()[-1]["request_status"] == "cancelled"


def test_a_receiver_that_fails_is_asked_again_later_and_given_up_at_last(
    world: World, receiver: Receiver
) -> None:
    receiver.status = 500
    forget(world, "reader-3")
    webhooks = world.container.webhooks

    webhooks.deliver()
    webhooks.deliver()
    (state,) = webhooks.targets()
    assert (len(receiver.got), state.attempts, state.error_code) == (
        1,
        1,
        "dependency_unavailable",
    )
    for _ in range(11):
        world.clock.ahead += timedelta(hours=7)
        webhooks.deliver()

    (state,) = webhooks.targets()
    assert [one.kind for one in state.dead] == ["forget.suppressed"]
    assert len(receiver.got) == 12
    receiver.status = 200
    forget(world, "reader-4")
    world.clock.ahead += timedelta(hours=7)
    webhooks.deliver()
    assert receiver.told()[-1]["status"] == "suppressed"
    assert webhooks.targets()[0].attempts == 0


def test_a_service_that_was_down_tells_what_happened_meanwhile(
    world: World, receiver: Receiver
) -> None:
    first, second = forget(world, "reader-5"), forget(world, "reader-6")
    world.clock.ahead += timedelta(days=1)

    world.container.webhooks.deliver()

    assert [one["request_id"] for one in receiver.told()] == [first, second]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "10.0.0.8",
        "169.254.169.254",
        "192.168.1.1",
        "[fd00::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "2130706433",
    ],
)
def test_no_address_inside_is_called(host: str) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    sender = HttpWebhookSender(allows_private=False, transport=httpx.MockTransport(never))

    with pytest.raises(DependencyUnavailableError, match="address"):
        sender.send(f"https://{host}/told", b"{}", headers={})


def test_a_name_that_changes_its_address_is_called_at_the_one_that_was_checked() -> None:
    answers = iter(["93.184.215.14", "127.0.0.1"])
    called: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        called.append(request)
        return httpx.Response(302, headers={"Location": "http://127.0.0.1/"})

    sender = HttpWebhookSender(
        allows_private=False,
        transport=httpx.MockTransport(take),
        look_up=lambda *_: [next(answers)],
    )

    with pytest.raises(DependencyUnavailableError, match="302"):
        sender.send("https://shop.example/told", b"{}", headers={})

    (request,) = called
    assert request.url.host == "93.184.215.14"
    assert request.headers["Host"] == "shop.example"
    assert request.extensions["sni_hostname"] == "shop.example"
