"""A Chroma server that leaves: what lay on it is on the others, and nothing of it is left there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.adapters.chroma.catalogue import ChromaCatalogueIndex
from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.layout import CollectionSpec, parse_name, shard_of
from app.adapters.chroma.servers import ChromaServers, require_all
from app.adapters.probe.process import FileProbe
from app.domain.errors import IntegrityError
from app.domain.models import Item, ItemId
from tests.planted import chroma_files, needles_of
from tests.servers.chroma import RunningChroma, started_chroma
from tests.several_chromas import N_SHARDS, NODES, all_there, alone, at_home, beside, people

pytestmark = pytest.mark.chroma
CATALOGUE = CollectionSpec("test-embedder", 32)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, RunningChroma]]:
    with ExitStack() as stack:
        yield {node: stack.enter_context(started_chroma(tmp_path / node)) for node in NODES}


@contextmanager
def index_of(servers: dict[str, RunningChroma]) -> Iterator[ChromaCatalogueIndex]:
    """Give the catalogue's index as a process away from all servers has it."""
    with ExitStack() as stack:
        databases = {
            node: stack.enter_context(ChromaDatabase.server(one.url))
            for node, one in servers.items()
        }
        yield ChromaCatalogueIndex(ChromaServers(databases), spec=CATALOGUE)


def an_item(number: int) -> Item:
    return Item(ItemId(f"item-{number}"), f"Title {number}", "")


def vectors_of(items: list[Item]) -> NDArray[np.float32]:
    rows = np.random.default_rng(len(items)).standard_normal((len(items), 32), dtype=np.float32)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


@pytest.mark.parametrize("leaver", NODES)
def test_a_server_that_leaves_is_emptied_and_others_go_on_without_it(
    servers: dict[str, RunningChroma], leaver: str
) -> None:
    users, server = people(), servers[leaver]
    (stayer,) = set(NODES) - {leaver}
    items = [an_item(number) for number in range(20)]
    with beside(servers, None) as store:
        store.add([memory for one in users for memory in one])
        store.set_mark(1)
    with index_of(servers) as index:
        index.upsert(items, vectors_of(items))
    moved = [
        memory
        for one in users
        for memory in one
        if shard_of(memory.pseudonym, n_shards=N_SHARDS) in at_home(leaver)
    ]
    with (
        ChromaDatabase.server(servers[stayer].url) as database,
        pytest.raises(IntegrityError, match=leaver),  # before it is empty
    ):
        require_all({stayer: database})
    with beside(servers, leaver, leaving=leaver) as store:
        assert set(store.misplaced()) == at_home(leaver)
        store.reindex(store.misplaced())
        assert store.misplaced() == []
        assert all_there(store, users)
        canary = needles_of(store.controls())
        store.set_mark(2)
    assert server.directory is not None
    (reports,) = FileProbe([chroma_files(server.directory)]).search(
        [needles_of(moved, is_whole_user=True)], control=canary
    )
    assert all(report.is_clean for report in reports), reports
    with ChromaDatabase.server(server.url) as database:
        assert not [one for one in database.collections() if parse_name(one.name)]
        with pytest.raises(IntegrityError, match=stayer):  # the wrong one was taken out
            require_all({leaver: database})

    last = {stayer: servers[stayer]}
    with ChromaDatabase.server(servers[stayer].url) as database:
        require_all({stayer: database})
    with alone(last[stayer]) as store:
        assert all_there(store, users)
        assert store.size() == sum(map(len, users))
        assert store.mark() == 2
    with index_of(last) as index:
        assert len(index.vectors([one.item_id for one in items])) == len(items)
