"""The search for a process away from the files: it asks a worker beside them, and waits.

A message of the queue holds the number of a search and nothing else. What is to be searched for
waits beside it in Redis, sealed by a key that only processes of the service can derive, until the
worker takes it, and never longer than the search may take. The answer is counts.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import redis
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.adapters.probe.messages import decode_reports, decode_task, encode_reports, encode_task
from app.domain.erasure.residue import Needles, ProbeReport
from app.domain.errors import DependencyUnavailableError
from app.ports.probe import Probe

SEARCH_S: Final = 60.0
"""Seconds a search may take, waiting for a free worker included."""
_NONCE_BYTES: Final = 12
_LOOK_S: Final = 1
"""Seconds of one wait for the answer; below the connection's own time limit."""
_FAILED: Final = b"failed"


def _asked(search_id: str) -> str:
    return f"lethe:search:{search_id}"


def _found(search_id: str) -> str:
    return f"lethe:found:{search_id}"


@contextmanager
def _vendor_errors() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise DependencyUnavailableError("the broker does not answer") from error


class QueuedProbe:
    """Probe that lets a worker beside the files search.

    Args:
        client: of the broker.
        ring: sends a search's number to the queue of the node that holds the files.
        key: 32 bytes that seal what is searched for.
        timeout_s: seconds until nobody's answer is waited for any longer.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        ring: Callable[[str], None],
        key: bytes,
        timeout_s: float = SEARCH_S,
    ) -> None:
        self._client: Any = client  # redis-py's annotations mix two kinds of answers
        self._ring = ring
        self._key = key
        self._timeout_s = timeout_s

    def search(
        self, groups: Sequence[Needles], *, control: Needles, key: bytes = b""
    ) -> list[tuple[ProbeReport, ...]]:
        search_id, nonce = secrets.token_hex(16), secrets.token_bytes(_NONCE_BYTES)
        task = encode_task((), groups=groups, control=control, key=key)
        sealed = nonce + AESGCM(self._key).encrypt(nonce, task, search_id.encode())
        with _vendor_errors():
            self._client.set(_asked(search_id), sealed, px=int(1_000 * self._timeout_s))
            try:
                self._ring(search_id)
                answer = self._wait(search_id)
            finally:
                self._client.delete(_asked(search_id))
        if answer is None:
            raise DependencyUnavailableError("no worker beside the vector store's files answers")
        if answer == _FAILED:
            raise DependencyUnavailableError("the probe could not read every store")
        return decode_reports(answer)

    def _wait(self, search_id: str) -> bytes | None:
        for _ in range(math.ceil(self._timeout_s / _LOOK_S)):
            found = self._client.blpop([_found(search_id)], timeout=_LOOK_S)
            if found is not None:
                return bytes(found[1])
        return None


def answer_search(search_id: str, *, client: redis.Redis, probe: Probe, key: bytes) -> None:
    """Do a search that a process away from the files has asked for. Nobody does it twice.

    Raises:
        DependencyUnavailableError: the broker does not answer.
    """
    broker: Any = client
    with _vendor_errors():
        sealed = broker.getdel(_asked(search_id))
    if sealed is None:
        return  # whoever asked has given up, or another worker has it
    nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    task = AESGCM(key).decrypt(nonce, text, search_id.encode())
    _, groups, control, fingerprint_key = decode_task(task)
    try:
        reports = probe.search(groups, control=control, key=fingerprint_key)
        answer = encode_reports(list(zip(*reports, strict=True)))
    except DependencyUnavailableError:
        answer = _FAILED
    with _vendor_errors():
        broker.rpush(_found(search_id), answer)
        broker.pexpire(_found(search_id), int(1_000 * SEARCH_S))
