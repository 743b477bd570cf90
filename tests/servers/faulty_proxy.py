"""A server between the service and a real vLLM that spoils what passes, as it is told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import httpx


class Fault(StrEnum):
    """What happens to a call of the chat route."""

    NONE = "none"
    GONE = "gone"
    """The connection ends in the middle of the answer."""
    BUSY = "429"
    BROKEN = "500"
    DRIP = "drip"
    """A byte every 20 ms, so that no single read ever times out."""
    HANG = "hang"
    OTHER_MODEL = "other model"
    """The server is asked for a model it does not serve."""
    NO_LOGPROBS = "no logprobs"
    NO_MASK = "no mask"
    """The grammar is lost, so other tokens than labels come back."""
    PROSE = "prose"
    SPLIT_LABELS = "split labels"
    """/tokenize says that a label is two tokens."""


class FaultyProxy:
    """Where it listens, and what it does from now on."""

    def __init__(self, target: str) -> None:
        self.fault = Fault.NONE
        self.url = ""
        self.released = Event()
        self.client = httpx.Client(base_url=target, timeout=60, trust_env=False)

    def spoil(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one call."""
        length = int(handler.headers.get("Content-Length", 0))
        body = json.loads(handler.rfile.read(length)) if length else None
        fault = self.fault if handler.path.startswith("/v1/chat") else Fault.NONE
        if handler.path == "/tokenize" and self.fault is Fault.SPLIT_LABELS:
            send(handler, 200, {"count": 2, "tokens": [1, 2]})
        elif fault in {Fault.BUSY, Fault.BROKEN}:
            send(handler, int(fault.value), {"error": "no"})
        elif fault is Fault.PROSE:
            send(handler, 200, "I would choose the first one.")
        elif fault is Fault.HANG:
            self.released.wait(10)
        else:
            self._pass_on(handler, body, fault=fault)

    def _pass_on(self, handler: BaseHTTPRequestHandler, body: Any, *, fault: Fault) -> None:  # noqa: ANN401 - any JSON
        if fault is Fault.OTHER_MODEL:
            body["model"] = "another"
        if fault is Fault.NO_LOGPROBS:
            body |= {"logprobs": False, "top_logprobs": None}
        if fault is Fault.NO_MASK:
            body.pop("structured_outputs")
        answer = self.client.request(handler.command, handler.path, json=body)
        if fault is Fault.GONE:
            raw = frame(answer.status_code, answer.content)
            handler.wfile.write(raw[: len(raw) // 2])
        elif fault is Fault.DRIP:
            for byte in frame(answer.status_code, answer.content):
                handler.wfile.write(bytes([byte]))
                time.sleep(0.02)
        else:
            handler.wfile.write(frame(answer.status_code, answer.content))


def frame(status: int, content: bytes) -> bytes:
    """Return an HTTP answer as bytes; the connection ends behind it."""
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def send(handler: BaseHTTPRequestHandler, status: int, body: object) -> None:
    handler.wfile.write(frame(status, json.dumps(body).encode()))


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    """Run one on loopback before the server at ``target``."""
    proxy = FaultyProxy(target)

    class Route(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.close_connection = True
            with suppress(OSError):  # the service has hung up, as it should
                proxy.spoil(self)

        do_GET = do_POST  # noqa: N815 - the base class's name

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Route)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        proxy.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
        proxy.client.close()
