"""``lethe witness``: a small witness for a second party to run, c2sp.org/tlog-witness."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Final

import typer

from app.cli.options import AsJson, tell

_MOST_BYTES: Final = 64 * 1024


class WitnessServer(ThreadingHTTPServer):
    """Answers ``POST /add-checkpoint``; keeps its key and what it saw last in a directory.

    Args:
        address: host and port; port 0 for any.
        folder: made on first use; not on the log's own machine, or it witnesses nothing.
        name: the witness's.
        logs: keys of the logs to witness, ``name+id+base64``.
    """

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], *, folder: Path, name: str, logs: list[str]
    ) -> None:
        """Read the key, or make one."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        from app.domain.audit.checkpoint import VerifierKey
        from app.domain.audit.witness import witness_key

        super().__init__(address, _Handler)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._name = folder, name
        self._logs = [VerifierKey.parse(log) for log in logs]
        path = folder / "key"
        if not path.exists():
            _write(path, Ed25519PrivateKey.generate().private_bytes_raw())
        self._private = Ed25519PrivateKey.from_private_bytes(path.read_bytes())
        self._public = self._private.public_key().public_bytes_raw()
        self.key = witness_key(name, self._public)
        self._turn = threading.Lock()

    def add_checkpoint(self, body: str) -> str:
        """Return the cosignature's line; what was signed is on disk before.

        Raises:
            RefusedError: the checkpoint does not follow the last one.
        """
        from app.adapters.system.signing import is_signed
        from app.domain.audit.checkpoint import Checkpoint
        from app.domain.audit.witness import AddCheckpoint, cosign, require_follows

        asked = AddCheckpoint.parse(body)
        name = hashlib.sha256(asked.checkpoint.origin.encode()).hexdigest()
        path = self._folder / f"{name}.checkpoint"
        with self._turn:
            last = Checkpoint.parse(path.read_text()) if path.exists() else None
            require_follows(asked, last, logs=self._logs, is_signed=is_signed)
            _write(path, asked.note.text.encode())
        signed = cosign(
            asked.note,
            name=self._name,
            public_key=self._public,
            at_s=int(time.time()),
            sign=self._private.sign,
        )
        return f"{signed.line()}\n"


class _Handler(BaseHTTPRequestHandler):
    server: WitnessServer

    def do_POST(self) -> None:
        from app.domain.audit.witness import RefusedError

        length = self.headers.get("Content-Length", "")
        if self.path != "/add-checkpoint":
            self._answer(HTTPStatus.NOT_FOUND, "")
            return
        if not length.isdecimal() or int(length) > _MOST_BYTES:
            self._answer(HTTPStatus.BAD_REQUEST, "")
            return
        try:
            text = self.rfile.read(int(length)).decode()
            self._answer(HTTPStatus.OK, self.server.add_checkpoint(text))
        except UnicodeDecodeError:
            self._answer(HTTPStatus.BAD_REQUEST, "")
        except RefusedError as refused:
            self._answer(refused.status, refused.body)

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        kind = "text/x.tlog.size" if status == HTTPStatus.CONFLICT else "text/plain; charset=utf-8"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing: standard output is the key's."""


def _write(path: Path, content: bytes) -> None:
    """Write a whole file durably, or nothing."""
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def witness(
    *,
    log: Annotated[list[str], typer.Option(help="Public key of a log to witness.")],
    folder: Annotated[Path, typer.Option(help="Directory of its key and of what it saw last.")],
    name: Annotated[str, typer.Option(help="Its name, such as a domain.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8100,
    as_json: AsJson = False,
) -> None:
    """Cosign checkpoints of somebody else's log, each only if it continues the last one."""
    server = WitnessServer((host, port), folder=folder, name=name, logs=log)
    at = {"key": server.key, "host": host, "port": server.server_port}
    tell(at, "{key} on {host}:{port}".format(**at), as_json=as_json)
    server.serve_forever()
