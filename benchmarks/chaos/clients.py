"""Many HTTP clients in one thread, so that the order in which answers arrive is the kernel's.

With a thread a client, the answer that arrived first may be looked at last. Here one wait returns
every connection that has something; what comes back from the same wait arrived together, and what
comes back from a later one arrived later.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_READ_BYTES: Final = 1 << 20
_END_OF_HEAD: Final = b"\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer.

    Args:
        index: of the request in what was given to ``exchange``.
        sent_s: of the client's clock, before the first byte went out.
        arrived_s: of the client's clock, when the wait returned that brought the last byte.
    """

    index: int
    sent_s: float
    arrived_s: float
    status: int
    body: bytes


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    index: int = -1
    sent_s: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def send(self, index: int, request: bytes) -> None:
        self.index, self.sent_s = index, time.perf_counter()
        self.received.clear()
        self.connection.sendall(request)

    def receive(self, *, at_s: float) -> Exchange | None:
        """Read what is there; return the exchange once it is whole."""
        more = self.connection.recv(_READ_BYTES)
        if not more:
            message = "the server closed the connection"
            raise ConnectionError(message)
        self.received += more
        head, found, body = bytes(self.received).partition(_END_OF_HEAD)
        if not found:
            return None
        if b"transfer-encoding: chunked" in head.lower():
            if not body.endswith(_LAST_CHUNK):
                return None
            body = b"".join(_chunks(body))
        elif len(body) < _content_length(head):
            return None
        status = int(head.split(b" ", 2)[1])
        return Exchange(self.index, self.sent_s, at_s, status, body)


def _chunks(body: bytes) -> Iterator[bytes]:
    """Yield what a chunked body carries."""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        yield body[:length]
        body = body[length + 2 :]


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    message = "an answer without a length"
    raise ValueError(message)


def request_bytes(
    method: str, path: str, *, token: str, host: str, body: bytes | None = None
) -> bytes:
    """Return an HTTP/1.1 request; a body is JSON."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def exchange(
    url: str,
    requests: Sequence[bytes],
    *,
    n_clients: int,
    timeout_s: float = 120.0,
    seen: Callable[[Exchange], None] | None = None,
) -> list[Exchange]:
    """Let ``n_clients`` send the requests, each the next one that nobody has, until all are done.

    Args:
        url: of the server.
        requests: whole HTTP requests, in the order in which they are taken.
        n_clients: connections, each with one request at a time.
        timeout_s: longest wait for anything at all.
        seen: called with each exchange as it arrives.

    Raises:
        TimeoutError: nothing arrived for ``timeout_s``.
        ConnectionError: the server hung up.
    """
    address = urlsplit(url)
    waiting = iter(enumerate(requests))
    done: list[Exchange] = []
    with selectors.DefaultSelector() as selector:
        clients = list(_connect(str(address.hostname), address.port or 80, n=n_clients))
        try:
            for client in clients:
                selector.register(client.connection, selectors.EVENT_READ, client)
                _send_next(client, waiting)
            while len(done) < len(requests):
                ready = selector.select(timeout_s)
                at_s = time.perf_counter()
                if not ready:
                    raise TimeoutError
                arrived = [key.data.receive(at_s=at_s) for key, _ in ready]
                for (key, _), one in zip(ready, arrived, strict=True):
                    if one is not None:
                        done.append(one)
                        if seen is not None:
                            seen(one)
                        _send_next(key.data, waiting)
        finally:
            for client in clients:
                client.connection.close()
    return done


def _connect(host: str, port: int, *, n: int) -> Iterator[_Client]:
    for _ in range(n):
        connection = socket.create_connection((host, port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield _Client(connection)


def _send_next(client: _Client, waiting: Iterator[tuple[int, bytes]]) -> None:
    following = next(waiting, None)
    if following is not None:
        client.send(*following)
