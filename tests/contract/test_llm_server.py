"""The client of the LLM server against real sockets: its deadline holds whatever they do."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import httpx
import pytest

from app.adapters.llm.client import LlmChannel, LlmServer
from app.domain.errors import DependencyUnavailableError
from tests.servers.ports import free_port

Write = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(write: Write) -> Iterator[str]:
    """Run a server on loopback that answers every POST with ``write``."""

    class Route(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            write(self)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Route)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def server_at(
    url: str,
    *,
    api_key: str | None = None,
    max_connections: int = 16,
    transport: httpx.BaseTransport | None = None,
) -> Iterator[LlmServer]:
    channel = LlmChannel(api_key=api_key, max_connections=max_connections, transport=transport)
    with closing(channel):
        yield LlmServer(url, model="m", channel=channel)


def answer(handler: BaseHTTPRequestHandler) -> None:
    body = json.dumps({"authorization": handler.headers.get("Authorization")}).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """Send a byte every 50 ms, so that no single read ever times out."""
    try:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 100:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.05)
    except OSError:
        return  # the client has hung up


def test_answers_when_the_server_does() -> None:
    with serving(answer) as url, server_at(f"{url}/v1/", api_key="k") as llm:
        assert llm.post("/x", {}, timeout_s=5) == {"authorization": "Bearer k"}


def test_sends_no_key_when_there_is_none() -> None:
    with serving(answer) as url, server_at(url) as llm:
        assert llm.post("/x", {}, timeout_s=5) == {"authorization": None}


def test_deadline_is_of_the_whole_answer_and_not_of_a_read() -> None:
    with serving(dripping) as url, server_at(url) as llm:
        started = time.monotonic()

        with pytest.raises(DependencyUnavailableError, match="in time"):
            llm.post("/x", {}, timeout_s=0.3)

        assert 0.25 < time.monotonic() - started < 1


def test_a_call_that_finds_no_thread_in_time_is_never_sent() -> None:
    release, seen = Event(), []

    def hold(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        release.wait(10)
        return httpx.Response(200, json={})

    transport = httpx.MockTransport(hold)
    with server_at("http://llm", max_connections=1, transport=transport) as llm:
        for path in ("/first", "/second"):
            with pytest.raises(DependencyUnavailableError, match="in time"):
                llm.post(path, {}, timeout_s=0.1)
        release.set()
        llm.post("/third", {}, timeout_s=5)

    assert seen == ["/first", "/third"]


def test_a_call_whose_time_is_over_is_never_sent() -> None:
    seen = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return httpx.Response(200, json={})

    with server_at("http://llm", transport=httpx.MockTransport(note)) as llm:
        for _ in range(50):
            with pytest.raises(DependencyUnavailableError, match="in time"):
                llm.post("/late", {}, timeout_s=-1)
        llm.post("/in-time", {}, timeout_s=5)

    assert seen == ["/in-time"]


def test_is_unavailable_when_nobody_listens() -> None:
    unreachable = pytest.raises(DependencyUnavailableError, match="cannot be reached")

    with server_at(f"http://127.0.0.1:{free_port()}") as llm, unreachable:
        llm.post("/x", {}, timeout_s=5)


def test_is_unavailable_once_closed() -> None:
    channel = LlmChannel()
    llm = LlmServer("http://llm", model="m", channel=channel)
    channel.close()

    with pytest.raises(DependencyUnavailableError, match="closed"):
        llm.post("/x", {}, timeout_s=5)


def test_a_proxy_in_the_environment_sees_no_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")

    with serving(answer) as url, server_at(url) as llm:
        assert llm.post("/x", {}, timeout_s=5)
