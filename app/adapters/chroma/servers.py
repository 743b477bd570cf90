"""Several Chroma servers, used as one: which of them holds which shard.

Each shard has a home, by rendezvous hashing: of all nodes the one whose hash with the shard's name
is highest. A node more takes its share from all others, and nothing moves between these. Where a
shard is now says the server that has its present generation; it moves when it is copied into its
next one, which is made at home (``reindex``). So nothing else has to be kept, or to be right.

Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM
Transactions on Networking 6(1), 1998.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from chromadb.api.models.Collection import Collection

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.layout import ITEMS, CollectionSpec, parse_name
from app.domain.errors import IntegrityError


def home_of(family: str, *, nodes: Iterable[str]) -> str:
    """Return the node that a family of collections belongs on."""
    return max(nodes, key=lambda node: hashlib.sha256(f"{node} {family}".encode()).digest())


def require_all(databases: Mapping[str, ChromaDatabase]) -> None:
    """Refuse to work without a server that holds memories: what lies on it would be missed.

    Args:
        databases: by node. A server goes by the name that it was last told, where it was.

    Raises:
        IntegrityError: there are data on others than these.
        DependencyUnavailableError: one of them does not answer.
    """
    marks = _marks_of(databases)
    missing = _laid_on(marks.values()) - marks.keys()
    if missing:
        names = ", ".join(sorted(missing))
        raise IntegrityError(f"memories lie on a server that is not among those told: {names}")


def _marks_of(databases: Mapping[str, ChromaDatabase]) -> dict[str, Mapping[str, Any]]:
    """Ask all servers at once what was last stored on them; by the name that each was told."""
    with ThreadPoolExecutor(max(1, len(databases))) as pool:
        found = list(pool.map(ChromaDatabase.marked, databases.values()))
    return {str(one.get("node", node)): one for node, one in zip(databases, found, strict=True)}


def _laid_on(marks: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the nodes that memories lay on when a mark was last set; none for a server alone."""
    laid: set[str] = set()
    for marked in marks:
        n_servers = int(marked.get("servers", 1))
        if "nodes" in marked:
            laid |= set(str(marked["nodes"]).split())
        elif n_servers > 1:  # as versions wrote it that took no server out
            laid |= {f"chroma-{number}" for number in range(n_servers)}
    return frozenset(laid)


class ChromaServers:
    """The databases of several servers, as one.

    Reading a shard needs its server alone, writing to it that and its home, and looking where
    shards are all of them.

    Args:
        databases: by node; one at most has a directory, that of this machine.
        leaving: nodes that are nobody's home; what lies there is read and written until it moves.

    Raises:
        IntegrityError: there are data on others than these.
        DependencyUnavailableError: one of them does not answer.
    """

    def __init__(
        self, databases: Mapping[str, ChromaDatabase], *, leaving: frozenset[str] = frozenset()
    ) -> None:
        self._databases = dict(databases)
        self._staying = [node for node in databases if node not in leaving]
        self._where: dict[str, ChromaDatabase] = {}
        self._holders: dict[str, ChromaDatabase] = {}
        self.damaged: frozenset[str] = frozenset()
        require_all(self._databases)

    @property
    def directory(self) -> Path | None:
        """Return where the files of this machine's server are; None away from all of them."""
        own = [one.directory for one in self._databases.values() if one.directory is not None]
        return own[0] if own else None

    def all(self) -> list[ChromaDatabase]:
        """Return the databases, in the order of the nodes."""
        return list(self._databases.values())

    def part(self, family: str) -> ChromaDatabase:
        """Return the database that a family was last seen in, its home if in none."""
        return self._holders.get(family) or self._home(family)

    def is_own(self, name: str) -> bool:
        """Whether a collection lies in this machine's directory."""
        database = self._where.get(name)
        return database is not None and database.directory is not None

    def is_home(self, name: str) -> bool:
        """Whether a collection lies where its family belongs."""
        return self._where.get(name) is self._home((parse_name(name) or (name,))[0])

    def _home(self, family: str) -> ChromaDatabase:
        """Return where a family belongs; the catalogue, which is one collection, on the first."""
        nodes = self._staying
        return self._databases[nodes[0] if family == ITEMS else home_of(family, nodes=nodes)]

    def collections(self) -> list[Collection]:
        """Return all collections of all servers."""
        found: list[Collection] = []
        where: dict[str, ChromaDatabase] = {}
        for database in self._databases.values():
            here = database.collections()
            found.extend(here)
            where |= {one.name: database for one in here if parse_name(one.name)}
        self._where = where
        names = sorted(where, key=_generation)
        self._holders = {(parse_name(name) or (name,))[0]: where[name] for name in names}
        return found

    def find(self, name: str) -> Collection | None:
        """Return the collection of that name, from where it was seen, or may have been made."""
        family, number = parse_name(name) or (name, 1)
        before = f"{family}-g{number - 1}"
        places = [self._where.get(name), self._where.get(before), self._home(family)]
        for database in dict.fromkeys(places):
            found = None if database is None else database.find(name)
            if database is not None and found is not None:
                self._where[name] = database
                return found
        return None

    def ensure(self, name: str, *, spec: CollectionSpec, is_ready: bool = True) -> Collection:
        """Return the collection of that name, made at its home if it is on no server."""
        database = self._home((parse_name(name) or (name,))[0])
        for one in self._databases.values():
            if one.find(name) is not None:  # begun when there were other servers
                database = one
        self._where[name] = database
        return database.ensure(name, spec=spec, is_ready=is_ready)

    def drop(self, name: str) -> None:
        """Delete a collection from where it was seen. Idempotent."""
        database = self._where.pop(name, None)
        if database is not None:
            database.drop(name)
        self.damaged -= {name}

    def mark(self) -> int:
        """Return the least number that a server has; one that has no memories is left out."""
        marks = _marks_of(self._databases)
        laid = _laid_on(marks.values())
        marked = [one for node, one in marks.items() if node in laid]
        return min(int(one.get("mark", 0)) for one in marked or list(marks.values())[:1])

    def set_mark(self, mark: int) -> None:
        """Store a number on every server, with its name and which of them memories lie on."""
        self.collections()
        held = {id(database) for database in self._where.values()}
        nodes = [
            node
            for node, one in self._databases.items()
            if node in self._staying or id(one) in held
        ]
        told: dict[str, str | int] = {"nodes": " ".join(nodes), "servers": len(nodes)}
        with ThreadPoolExecutor(len(self._databases)) as pool:
            done = [
                pool.submit(database.set_mark, mark, node=node, **told)
                for node, database in self._databases.items()
            ]
        for one in done:
            one.result()

    def ping(self) -> float:
        """Ask every server whether it is well; return the milliseconds of the slowest."""
        return max(one.ping() for one in self._databases.values())

    def close(self) -> None:
        """Close all connections. Idempotent."""
        for database in self._databases.values():
            database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _generation(name: str) -> int:
    return (parse_name(name) or ("", 0))[1]


Chroma = ChromaDatabase | ChromaServers
"""One database, or several."""
