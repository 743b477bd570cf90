"""The vector database that the settings ask for, and the machines that hold its files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import redis

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.layout import CollectionSpec
from app.adapters.chroma.maintenance_process import MaintenanceReport, report_of
from app.adapters.chroma.servers import Chroma, ChromaServers, require_all
from app.adapters.probe.by_queue import Node
from app.adapters.probe.stores import ProbedStore, StoreFormat
from app.domain.erasure.residue import NeedleKind
from app.domain.privacy.pseudonyms import Identity
from app.ports.embedder import Embedder
from app.settings import Settings

_EMBEDDED_SHARDS: Final = 16
_SERVER_SHARDS: Final = 64
"""64 shards cost 2.1 CPU-s and 291 MB at 3,000 records, 16 cost 0.8 and 164 (ADR 0008)."""


def chroma_directory(settings: Settings) -> Path | None:
    """Return where Chroma's files are; None where this process cannot reach them."""
    return settings.chroma.persist_dir if settings.chroma.servers else settings.data_dir / "chroma"


def chroma_store(settings: Settings) -> list[ProbedStore]:
    """Return the vector store's files on this machine, none away from them."""
    chroma = chroma_directory(settings)
    if chroma is None:
        return []
    kinds = {NeedleKind.ID, NeedleKind.PSEUDONYM, NeedleKind.DOCUMENT, NeedleKind.VECTOR}
    has_others = len(settings.chroma.servers) > 1
    name = f"memory on {settings.chroma.node}" if has_others else "memory"
    return [ProbedStore(name, StoreFormat.CHROMA, chroma, frozenset(kinds))]


def nodes_of(
    settings: Settings, client: redis.Redis | None, *, identity: Identity
) -> tuple[Node | None, list[Node]]:
    """Return the machines that have files of the vector store: this one, if it has, and others.

    Without Celery nobody is there who could be asked.
    """
    if client is None or settings.queue != "celery":
        return None, []
    key = identity.search_key()
    nodes = {name: Node(name, client, key=key) for name in settings.chroma.servers}
    own = None if chroma_directory(settings) is None else nodes.pop(settings.chroma.node, None)
    return own, list(nodes.values())


def share_of_node(settings: Settings) -> tuple[int, int]:
    """Return which this node is, of how many; the only one where it is not among them."""
    nodes = list(settings.chroma.servers)
    own = settings.chroma.node
    return (nodes.index(own), len(nodes)) if own in nodes else (0, 1)


def cleaned(node: Node) -> MaintenanceReport:
    """Have a node's files cleaned, and return what was done there."""
    return report_of(node.clean())


def spec_of(embedder: Embedder, settings: Settings | None) -> CollectionSpec:
    """Return how collections are made: of memories, or without settings of the catalogue."""
    n_shards = 1
    if settings is not None:
        usual = _SERVER_SHARDS if settings.chroma.servers else _EMBEDDED_SHARDS
        n_shards = settings.chroma.n_shards or usual
    return CollectionSpec(embedder_id=embedder.embedder_id, dim=embedder.dim, n_shards=n_shards)


def open_chroma(settings: Settings) -> Chroma:
    """Open the vector database, here or on one server or several.

    Raises:
        DependencyUnavailableError: it cannot be opened, or a server does not answer.
        IntegrityError: memories lie on servers that the settings do not name.
    """
    chroma = settings.chroma
    if not chroma.servers:
        return ChromaDatabase.embedded(settings.data_dir / "chroma")
    databases = {
        node: ChromaDatabase.server(
            url, directory=chroma.persist_dir if node == chroma.node else None
        )
        for node, url in chroma.servers.items()
    }
    require_all(databases)
    (first, *others) = databases.values()
    return ChromaServers(databases, leaving=chroma.leaving) if others else first
