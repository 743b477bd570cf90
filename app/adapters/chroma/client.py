"""The client through which all our code talks to Chroma."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import chromadb
import httpx
from chromadb.api import ClientAPI
from chromadb.api.client import Client
from chromadb.api.models.Collection import Collection
from chromadb.config import Settings
from chromadb.errors import ChromaError, InternalError, NotFoundError

from app.adapters.chroma.index_check import unsound_segments
from app.adapters.chroma.layout import MARK, CollectionSpec
from app.adapters.chroma.maintenance import TURN_FILE, locked
from app.adapters.chroma.maintenance_process import damaged_collections
from app.domain.errors import DependencyUnavailableError, StoreDamagedError

_VENDOR_ERRORS: Final = (ChromaError, httpx.HTTPError, OSError, RuntimeError, json.JSONDecodeError)
_UNAVAILABLE: Final = "the vector store does not answer"
_PAGE: Final = 1_000
_SILENT_S: Final = 2.0
"""Seconds for which a server that did not answer in time is not asked by whoever is in a hurry."""
_LIMIT_S: ContextVar[float | None] = ContextVar("limit_s", default=None)


@contextmanager
def vendor_errors() -> Iterator[None]:
    """Raise DependencyUnavailableError for any error of Chroma or the network, without its text.

    The text may hold ids.
    """
    try:
        yield
    except _VENDOR_ERRORS as exc:
        raise DependencyUnavailableError(_UNAVAILABLE) from exc


def _settings() -> Settings:
    return Settings(anonymized_telemetry=False)


def _refuse_foreign_answers(response: httpx.Response) -> None:
    """Raise httpx's error for a failure that is not Chroma's own answer, such as a proxy's page.

    Chroma's client would raise a bare Exception with the page as its text.
    """
    if response.is_error:
        response.read()
        try:
            known = "error" in json.loads(response.text)
        except ValueError:
            known = False
        if not known:
            response.raise_for_status()


def _limit(request: httpx.Request) -> None:
    """Let an answer take no longer than whoever asks will wait."""
    limit_s = _LIMIT_S.get()
    if limit_s is not None:
        request.extensions["timeout"] = httpx.Timeout(limit_s).as_dict()


class ChromaDatabase:
    """A Chroma database, in this process or on a server.

    One persistent path must be open in one process only: a second one reads erased records.

    Args:
        client: Chroma's client.
        sessions: the HTTP sessions under it, none when embedded.
        directory: where the files are; None for a server whose files are out of reach.
    """

    def __init__(
        self,
        client: Client,
        *,
        sessions: Sequence[httpx.Client],
        directory: Path | None,
        damaged: frozenset[str] = frozenset(),
    ) -> None:
        self._client = client
        self._sessions = sessions
        self.directory = directory
        self.damaged = damaged
        """Names of collections that must not be read or written: that could crash the process."""
        self._silent_until_s = 0.0

    @classmethod
    def embedded(cls, directory: Path) -> Self:
        """Open (or create) the database in ``directory`` in this process.

        Raises:
            DependencyUnavailableError: it cannot be opened.
        """
        with vendor_errors():
            directory.mkdir(parents=True, exist_ok=True)
            path = directory.resolve()
            damaged = damaged_collections(path) if unsound_segments(path) else frozenset()
            client = chromadb.PersistentClient(path=str(path), settings=_settings())
        opened = cls(_concrete(client), sessions=(), directory=path, damaged=damaged)
        opened.damaged |= opened._unloadable()
        return opened

    @classmethod
    def server(cls, url: str, *, directory: Path | None = None, timeout_s: float = 30.0) -> Self:
        """Connect to a Chroma server.

        Args:
            url: ``http://host:port``; the server knows no passwords, so keep it private.
            directory: the server's persist directory where this machine can reach it.
            timeout_s: longest wait for one answer.

        Raises:
            DependencyUnavailableError: nothing answers there.
        """
        parts = urlsplit(url)
        with vendor_errors():
            # Chroma's client waits for ever; ask first with a limit, then set it below.
            health = httpx.get(f"{url.rstrip('/')}/api/v2/heartbeat", timeout=timeout_s)
            health.raise_for_status()
            try:
                client = chromadb.HttpClient(
                    host=parts.hostname or "",
                    port=parts.port or (443 if parts.scheme == "https" else 80),
                    ssl=parts.scheme == "https",
                    settings=_settings(),
                )
            except ValueError as exc:  # what its constructor makes of a connection error
                raise DependencyUnavailableError(_UNAVAILABLE) from exc
        sessions = _sessions_of(client)
        for session in sessions:
            session.timeout = httpx.Timeout(timeout_s)
            session.event_hooks = {"request": [_limit], "response": [_refuse_foreign_answers]}
        return cls(_concrete(client), sessions=sessions, directory=directory)

    @contextmanager
    def within(self, limit_s: float | None) -> Iterator[None]:
        """Let no answer of a server take longer in this block; None sets no limit of its own.

        Raises:
            DependencyUnavailableError: one took longer, or one did a moment ago.
        """
        if limit_s is None:
            yield
            return
        if time.perf_counter() < self._silent_until_s:
            raise DependencyUnavailableError(_UNAVAILABLE)
        token = _LIMIT_S.set(limit_s)
        try:
            yield
        except StoreDamagedError:
            raise  # that shard alone
        except DependencyUnavailableError:
            self._silent_until_s = time.perf_counter() + _SILENT_S
            raise
        finally:
            _LIMIT_S.reset(token)

    def turn(self) -> AbstractContextManager[object]:
        """Return what to write in: inside this process, when nobody cleans the files.

        Chroma would wait for the cleaner itself, and let no thread of this process run meanwhile.
        """
        if self._sessions or self.directory is None:
            return nullcontext()
        return locked(self.directory / TURN_FILE)

    def collections(self) -> list[Collection]:
        """Return all collections."""
        found: list[Collection] = []
        with vendor_errors():
            while True:
                page = self._client.list_collections(limit=_PAGE, offset=len(found))
                found.extend(page)
                if len(page) < _PAGE:
                    return found

    def _unloadable(self) -> frozenset[str]:
        """Return the names of collections that Chroma refuses to load. Call it before any write."""
        found: set[str] = set()
        for collection in self.collections():
            if collection.name in self.damaged:
                continue
            with vendor_errors():
                try:
                    collection.count()
                except InternalError:
                    found.add(collection.name)
        return frozenset(found)

    def find(self, name: str) -> Collection | None:
        """Return the collection of that name, if there is one."""
        with vendor_errors():
            try:
                return self._client.get_collection(name, embedding_function=None)
            except NotFoundError:
                return None

    def ensure(self, name: str, *, spec: CollectionSpec, is_ready: bool = True) -> Collection:
        """Return the collection of that name, made by ``spec`` if it is new."""
        configuration: Any = spec.configuration()
        with vendor_errors():
            return self._client.create_collection(
                name,
                configuration=configuration,
                metadata=spec.metadata(is_ready=is_ready),
                embedding_function=None,  # else Chroma downloads a model
                get_or_create=True,
            )

    def drop(self, name: str) -> None:
        """Delete a collection; its files stay until the next maintenance. Idempotent."""
        with vendor_errors(), suppress(NotFoundError):
            self._client.delete_collection(name)
        self.damaged -= {name}

    def marked(self) -> Mapping[str, Any]:
        """Return what ``set_mark`` last stored, nothing if it never did."""
        found = self.find(MARK)
        return {} if found is None else found.metadata or {}

    def mark(self) -> int:
        """Return the number last stored by ``set_mark``, 0 if none was."""
        return int(self.marked().get("mark", 0))

    def set_mark(self, mark: int, **facts: str | int) -> None:
        """Store a number, and facts beside it, in the metadata of a collection without records."""
        with vendor_errors():
            kept = self._client.get_or_create_collection(MARK, embedding_function=None)
            kept.modify(metadata={"mark": mark, "servers": 1, **facts})

    def all(self) -> list[ChromaDatabase]:
        """Return this one: there are no others."""
        return [self]

    def part(self, _family: str) -> ChromaDatabase:
        """Return what holds a family: this one."""
        return self

    def is_own(self, _name: str) -> bool:
        """Whether a collection lies in this machine's directory, where that is within reach."""
        return True

    def is_home(self, _name: str) -> bool:
        """Whether a collection lies where its family belongs."""
        return True

    def ping(self) -> float:
        """Ask Chroma whether it is well; return milliseconds."""
        started = time.perf_counter()
        with vendor_errors():
            self._client.heartbeat()
        return (time.perf_counter() - started) * 1_000

    def close(self) -> None:
        """Close the files or the connections. Idempotent."""
        self._client.close()
        for session in self._sessions:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _concrete(client: ClientAPI) -> Client:
    """Return ``client`` as the class that can be closed, which its factory does not promise."""
    if not isinstance(client, Client):
        message = "chromadb has changed: its client cannot be closed"
        raise TypeError(message)
    return client


def _sessions_of(client: ClientAPI) -> list[httpx.Client]:
    """Return the HTTP sessions of a client: its own, and that of the admin client within it.

    Chroma neither limits how long they wait nor closes them.
    """
    servers = [vars(owner)["_server"] for owner in (client, vars(client)["_admin_client"])]
    sessions = [vars(server)["_session"] for server in servers]
    if not all(isinstance(session, httpx.Client) for session in sessions):
        message = "chromadb has changed: its HTTP sessions are not httpx's"
        raise TypeError(message)
    return sessions
