"""Work beside the files of another machine: a process asks that node, and waits.

What is asked for lies in Redis, sealed by a key that only processes of the service can derive,
until a process of the node takes it, and never longer than may be waited for. The node's list holds
the number of what is asked for and nothing else. The answer is counts.

The worker of a node takes it in a thread of its own: two nodes whose workers all wait for each
other would wait for ever. It takes all that waits, its own erasures' work too, and reads the files
once for it.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, Final, Protocol

import redis
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.adapters.probe.messages import decode_reports, encode_asked
from app.adapters.probe.stores import Asked
from app.domain.erasure.residue import Needles, ProbeReport
from app.domain.errors import DependencyUnavailableError
from app.ports.probe import Probe

SEARCH_S: Final = 60.0
"""Seconds a search may take that somebody waits for who has asked the API."""
WORK_S: Final = 540.0
"""Seconds an erasure's cleaning, or search, may take; others' before it included."""
_NONCE_BYTES: Final = 12
_LOOK_S: Final = 1
"""Seconds of one wait for the answer; below the connection's own time limit."""
_LOST_LOOKS: Final = 30
"""Looks in a row that find nobody at work on it, after which it is given up: no worker is there,
it was killed, or the broker has lost what was asked for."""
_IDLE_S: Final = 2
_HERE_S: Final = 5.0
"""Seconds for which a worker counts as there since it last said so."""
_KEPT_S: Final = 60.0
"""Seconds for which an answer is kept that nobody fetches."""
_MOST: Final = 10_000
_FAILED: Final = b"failed"
_CLEAN: Final = b"clean"


def _asked(number: str) -> str:
    return f"lethe:search:{number}"


def _found(number: str) -> str:
    return f"lethe:found:{number}"


def _work(node: str) -> str:
    return f"lethe:work:{node}"


def _here(node: str) -> str:
    return f"lethe:here:{node}"


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
        answer = self.ask(_CLEAN, timeout_s=WORK_S)
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
        lost = 0
        for _ in range(math.ceil(timeout_s / _LOOK_S)):
            found = self._client.blpop([_found(number)], timeout=_LOOK_S)
            if found is not None:
                return bytes(found[1])
            lost = 0 if self._is_waiting(number) else lost + 1
            if lost == _LOST_LOOKS:
                return None
        return None

    def _is_waiting(self, number: str) -> bool:
        """Whether somebody is there, and either at work on it or about to take it."""
        served = self._client.get(_here(self._name))
        if served is None:
            return False
        return number.encode() in served.split() or bool(self._client.exists(_asked(number)))


class QueuedProbe:
    """Probe that lets a worker beside the files search."""

    def __init__(self, node: Node, *, timeout_s: float = SEARCH_S) -> None:
        self._node = node
        self._timeout_s = timeout_s

    def search(
        self, groups: Sequence[Needles], *, control: Needles, key: bytes = b""
    ) -> list[tuple[ProbeReport, ...]]:
        task = encode_asked(Asked(groups, control, key))
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


class Files(Protocol):
    """What works on a node's files. All errors: DependencyUnavailableError."""

    def clean(self) -> bytes:
        """Clean them; return the report."""

    def search(self, asked: Sequence[bytes]) -> list[bytes]:
        """Read them once for all that was asked; return the answer to each."""


class NodeFiles:
    """Does beside a node's files what others ask for, for all who wait at once.

    A cleaning serves whoever had asked when it began, and so does a search: each has deleted
    before it asked, and nobody who asks later is served by a pass that is under way.

    Args:
        node: the node's name.
        client: of the broker.
        files: the vector store's here.
        key: opens what is asked for.
    """

    def __init__(self, node: str, client: redis.Redis, *, files: Files, key: bytes) -> None:
        self._node = node
        self._client: Any = client
        self._files = files
        self._key = key
        self._waiting: dict[str, bytes] = {}

    def serve(self) -> None:
        """Do what is asked for, until for a moment nobody asks.

        Raises:
            DependencyUnavailableError: the broker does not answer.
        """
        self._take(wait_s=_IDLE_S)
        while self._waiting:
            for is_clean, work in ((True, self._cleaned), (False, self._searched)):
                wanted = [n for n, task in self._waiting.items() if (task == _CLEAN) is is_clean]
                if wanted:
                    self._answer(wanted, work)
                self._take()

    def _take(self, *, wait_s: float | None = None) -> None:
        """Take all that is asked for; with ``wait_s`` wait so long for the first."""
        work = _work(self._node)
        with _vendor_errors():
            first = None if wait_s is None else self._client.blpop([work], timeout=wait_s)
            found = ([] if first is None else [first[1]]) + (self._client.lpop(work, _MOST) or [])
            for number in (raw.decode() for raw in found):
                sealed = self._client.getdel(_asked(number))
                if sealed is not None:  # else whoever asked has given up
                    nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
                    self._waiting[number] = AESGCM(self._key).decrypt(nonce, text, number.encode())
            self._say()

    def _say(self) -> None:
        """Say that somebody is here, and whom the work is for."""
        self._client.set(_here(self._node), " ".join(self._waiting), px=int(1_000 * _HERE_S))

    def _answer(self, numbers: Sequence[str], work: Callable[[list[bytes]], list[bytes]]) -> None:
        """Do work for these, and say meanwhile that somebody is here."""
        try:
            with ThreadPoolExecutor(1) as pool:
                doing = pool.submit(work, [self._waiting[number] for number in numbers])
                while not wait([doing], timeout=_LOOK_S).done:
                    with suppress(redis.RedisError):
                        self._say()
            with _vendor_errors():
                for number, answer in zip(numbers, doing.result(), strict=True):
                    self._client.rpush(_found(number), answer)
                    self._client.pexpire(_found(number), int(1_000 * _KEPT_S))
        finally:
            for number in numbers:
                del self._waiting[number]

    def _cleaned(self, tasks: list[bytes]) -> list[bytes]:
        try:
            return [self._files.clean()] * len(tasks)
        except DependencyUnavailableError:
            return [_FAILED] * len(tasks)

    def _searched(self, tasks: list[bytes]) -> list[bytes]:
        """Search for all at once; where that fails, for each alone, so that one harms no other."""
        try:
            return self._files.search(tasks)
        except DependencyUnavailableError:
            if len(tasks) == 1:
                return [_FAILED]
            return [answer for task in tasks for answer in self._searched([task])]
