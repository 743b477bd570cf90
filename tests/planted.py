"""Users made up for tests of the vector store, and what a probe must look for once they leave."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.grid import on_grid
from app.adapters.chroma.layout import parse_name
from app.adapters.probe.stores import ProbedStore, StoreFormat
from app.domain.erasure.request import ErasureOrder
from app.domain.erasure.residue import NeedleKind, Needles
from app.domain.models import Pseudonym, RecordId, RequestId
from app.ports.memory_store import Memory

IN_CHROMA = frozenset({NeedleKind.DOCUMENT, NeedleKind.ID, NeedleKind.PSEUDONYM, NeedleKind.VECTOR})


def a_user(*, shard: int | None = None, n_shards: int = 1) -> Pseudonym:
    """Return a new pseudonym, in a given shard if asked for."""
    head = secrets.randbits(24) * n_shards + (shard or 0)
    return Pseudonym(f"{head:08x}{secrets.token_hex(28)}")


def memories_of(user: Pseudonym, *, n: int, dim: int = 32) -> list[Memory]:
    """Return n memories of a user: random documents, directions as the store writes them."""
    rows = np.random.default_rng(secrets.randbits(64)).standard_normal((n, dim), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return [
        Memory(RecordId(secrets.token_hex(16)), user, secrets.token_urlsafe(90), row)
        for row in on_grid(rows)
    ]


def an_order(memories: Sequence[Memory], *, is_whole_user: bool = True) -> ErasureOrder:
    """Return the order to erase these memories of one user."""
    return ErasureOrder(
        RequestId(secrets.token_hex(16)),
        memories[0].pseudonym,
        is_whole_user,
        tuple(memory.record_id for memory in memories),
    )


def needles_of(memories: Sequence[Memory], *, is_whole_user: bool = True) -> Needles:
    """Return what must be gone: the pseudonym only where the whole user is erased."""
    users = sorted({memory.pseudonym for memory in memories}) if is_whole_user else []
    return Needles(
        documents=tuple(memory.document for memory in memories),
        ids=tuple(memory.record_id for memory in memories),
        pseudonyms=tuple(users),
        vectors=tuple(memory.embedding for memory in memories),
    )


def chroma_files(directory: Path) -> ProbedStore:
    """Return the probe's description of a Chroma directory."""
    return ProbedStore("memory", StoreFormat.CHROMA, directory, IN_CHROMA)


def emptied(database: ChromaDatabase) -> ChromaDatabase:
    """Return the database without any collection of ours, so that tests may share a server."""
    for collection in database.collections():
        if parse_name(collection.name) is not None:
            database.drop(collection.name)
    return database
