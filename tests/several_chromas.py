"""Several Chroma servers as one memory, as processes on each node and away from all have it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.layout import CollectionSpec, memory_family, parse_name
from app.adapters.chroma.maintenance_process import run_maintenance
from app.adapters.chroma.memory import ChromaMemoryStore
from app.adapters.chroma.servers import ChromaServers, home_of
from app.ports.memory_store import Memory
from tests.planted import a_user, memories_of
from tests.servers.chroma import RunningChroma

N_SHARDS = 8
SPEC = CollectionSpec("test-embedder", 32, n_shards=N_SHARDS)
NODES = ("chroma-0", "chroma-1")


@contextmanager
def beside(
    servers: dict[str, RunningChroma], own: str | None, *, leaving: str = ""
) -> Iterator[ChromaMemoryStore]:
    """Give the store as a process on the node ``own`` has it; None for one away from all."""
    with ExitStack() as stack:
        databases = {
            node: stack.enter_context(
                ChromaDatabase.server(one.url, directory=one.directory if node == own else None)
            )
            for node, one in servers.items()
        }
        others = [one.directory for node, one in servers.items() if node != own]
        elsewhere = [partial(run_maintenance, one) for one in others if one is not None]
        together = ChromaServers(databases, leaving=frozenset({leaving}))
        yield ChromaMemoryStore(together, spec=SPEC, elsewhere=elsewhere)


@contextmanager
def alone(server: RunningChroma) -> Iterator[ChromaMemoryStore]:
    with ChromaDatabase.server(server.url, directory=server.directory) as database:
        yield ChromaMemoryStore(database, spec=SPEC)


def people() -> list[list[Memory]]:
    """Two users of every shard."""
    return [
        memories_of(a_user(shard=shard, n_shards=N_SHARDS), n=4)
        for shard in range(N_SHARDS)
        for _ in range(2)
    ]


def lying(server: RunningChroma) -> set[int]:
    """Return the shards that a server has."""
    with ChromaDatabase.server(server.url) as database:
        families = [parse_name(one.name) for one in database.collections()]
    return {int(one[0].removeprefix("memory-")) for one in families if one is not None}


def at_home(node: str, *, nodes: tuple[str, ...] = NODES) -> set[int]:
    return {s for s in range(N_SHARDS) if home_of(memory_family(s), nodes=nodes) == node}


def all_there(store: ChromaMemoryStore, users: list[list[Memory]]) -> bool:
    return all(
        len(store.vectors(one[0].pseudonym, [m.record_id for m in one])) == len(one)
        for one in users
    )
