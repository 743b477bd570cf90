"""Work beside the files of another machine: a process asks that node, and waits.

What is asked for lies in Redis, sealed by a key that only processes of the service can derive,
until a process of the node takes it, and never longer than may be waited for. The node's list holds
the number of what is asked for and nothing else. The answer is counts.

Workers of a node take it in threads of their own: two nodes whose workers all wait for each other
would wait for ever.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final

import redis
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.adapters.probe.messages import decode_reports, decode_task, encode_reports, encode_task
from app.domain.erasure.residue import Needles, ProbeReport
from app.domain.errors import DependencyUnavailableError
from app.ports.probe import Probe

SEARCH_S: Final = 60.0
"""Seconds a search may take, waiting for a free worker included."""
CLEAN_S: Final = 300.0
"""The same for cleaning the files."""
_NONCE_BYTES: Final = 12
_LOOK_S: Final = 1
"""Seconds of one wait for the answer; below the connection's own time limit."""
_UNTAKEN_LOOKS: Final = 30
"""Looks after which what nobody has taken is given up: no worker is there."""
_FAILED: Final = b"failed"
_CLEAN: Final = b"clean"


def _asked(number: str) -> str:
    return f"lethe:search:{number}"


def _found(number: str) -> str:
    return f"lethe:found:{number}"


def _work(node: str) -> str:
    return f"lethe:work:{node}"


@contextmanager
def _vendor_errors() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise DependencyUnavailableError("the broker does not answer") from error


class Node:
    """Asks a machine that holds files of the vector store.

    Args:
        name: the node's.
        client: of the broker.
        key: 32 bytes that seal what is asked for.
    """

    def __init__(self, name: str, client: redis.Redis, *, key: bytes) -> None:
        self._name = name
        self._client: Any = client  # redis-py's annotations mix two kinds of answers
        self._key = key

    def clean(self) -> bytes:
        """Have the files cleaned; return the report, as ``maintenance_process`` reads it.

        Raises:
            DependencyUnavailableError: nobody does, or it failed; the files may hold erased data.
        """
        answer = self.ask(_CLEAN, timeout_s=CLEAN_S)
        if answer == _FAILED:
            raise DependencyUnavailableError("the vector store's maintenance failed")
        return answer

    def ask(self, task: bytes, *, timeout_s: float) -> bytes:
        """Return the answer to a task.

        Raises:
            DependencyUnavailableError: there is none in time, or the broker does not answer.
        """
        number, nonce = secrets.token_hex(16), secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + AESGCM(self._key).encrypt(nonce, task, number.encode())
        with _vendor_errors():
            self._client.set(_asked(number), sealed, px=int(1_000 * timeout_s))
            try:
                self._client.rpush(_work(self._name), number)
                self._client.pexpire(_work(self._name), int(1_000 * timeout_s))
                answer = self._wait(number, timeout_s=timeout_s)
            finally:
                self._client.delete(_asked(number))
        if answer is None:
            raise DependencyUnavailableError("no worker beside the vector store's files answers")
        return answer

    def _wait(self, number: str, *, timeout_s: float) -> bytes | None:
        for look in range(math.ceil(timeout_s / _LOOK_S)):
            found = self._client.blpop([_found(number)], timeout=_LOOK_S)
            if found is not None:
                return bytes(found[1])
            if look == _UNTAKEN_LOOKS and self._client.exists(_asked(number)):
                return None
        return None


class QueuedProbe:
    """Probe that lets a worker beside the files search."""

    def __init__(self, node: Node, *, timeout_s: float = SEARCH_S) -> None:
        self._node = node
        self._timeout_s = timeout_s

    def search(
        self, groups: Sequence[Needles], *, control: Needles, key: bytes = b""
    ) -> list[tuple[ProbeReport, ...]]:
        task = encode_task((), groups=groups, control=control, key=key)
        answer = self._node.ask(task, timeout_s=self._timeout_s)
        if answer == _FAILED:
            raise DependencyUnavailableError("the probe could not read every store")
        return decode_reports(answer)


class ProbeOfAll:
    """Probe that has several search at once; each reports of stores of its own."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = probes

    def search(
        self, groups: Sequence[Needles], *, control: Needles, key: bytes = b""
    ) -> list[tuple[ProbeReport, ...]]:
        with ThreadPoolExecutor(len(self._probes)) as pool:
            found = list(
                pool.map(lambda one: one.search(groups, control=control, key=key), self._probes)
            )
        return [tuple(chain.from_iterable(reports)) for reports in zip(*found, strict=True)]


class NodeFiles:
    """Does beside a node's files what others ask for. Nothing is done twice.

    Args:
        node: the node's name.
        client: of the broker.
        probe: over the vector store's files here.
        clean: cleans them, and returns the report.
        key: opens what is asked for.
    """

    def __init__(
        self,
        node: str,
        client: redis.Redis,
        *,
        probe: Probe,
        clean: Callable[[], bytes],
        key: bytes,
    ) -> None:
        self._node = node
        self._client: Any = client
        self._probe = probe
        self._clean = clean
        self._key = key

    def serve(self) -> None:
        """Wait a second for a task, and do it.

        Raises:
            DependencyUnavailableError: the broker does not answer.
        """
        with _vendor_errors():
            found = self._client.blpop([_work(self._node)], timeout=_LOOK_S)
            sealed = None if found is None else self._client.getdel(_asked(found[1].decode()))
        if sealed is None:
            return  # nothing, or whoever asked has given up
        number = found[1].decode()
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        answer = self._answer(AESGCM(self._key).decrypt(nonce, text, number.encode()))
        with _vendor_errors():
            self._client.rpush(_found(number), answer)
            self._client.pexpire(_found(number), int(1_000 * SEARCH_S))

    def _answer(self, task: bytes) -> bytes:
        try:
            if task == _CLEAN:
                return self._clean()
            _, groups, control, key = decode_task(task)
            reports = self._probe.search(groups, control=control, key=key)
        except DependencyUnavailableError:
            return _FAILED
        return encode_reports(list(zip(*reports, strict=True)))
