"""What every CatalogueIndex does: in memory, Chroma embedded, Chroma on a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.adapters.chroma.catalogue import ChromaCatalogueIndex
from app.adapters.chroma.client import ChromaDatabase
from app.adapters.chroma.layout import CollectionSpec
from app.domain.models import Item, ItemId
from app.ports.memory_store import CatalogueIndex
from tests.fakes_memory import FakeCatalogueIndex
from tests.planted import emptied
from tests.servers.chroma import RunningChroma, running_chroma

DIM = 32
SPEC = CollectionSpec("test-embedder", DIM)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningChroma]:
    with running_chroma(tmp_path_factory.mktemp("chroma")) as running:
        yield running


@pytest.fixture(
    params=["fake", "embedded", pytest.param("server", marks=pytest.mark.chroma)],
)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CatalogueIndex]:
    if request.param == "fake":
        yield FakeCatalogueIndex()
    elif request.param == "embedded":
        with ChromaDatabase.embedded(tmp_path) as database:
            yield ChromaCatalogueIndex(database, spec=SPEC)
    else:
        server: RunningChroma = request.getfixturevalue("server")
        with ChromaDatabase.server(server.url) as database:
            yield ChromaCatalogueIndex(emptied(database), spec=SPEC)


def items(n: int) -> list[Item]:
    return [Item(ItemId(f"item {number:04d}"), title="A title") for number in range(n)]


def rows(n: int, *, seed: int = 7) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).standard_normal((n, DIM), dtype=np.float32)
    unit: NDArray[np.float32] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


def test_nearest_comes_first_when_searched(index: CatalogueIndex) -> None:
    vectors = rows(300)
    index.upsert(items(300), vectors)
    query = rows(1, seed=8)[0]

    found = index.search(query, top_n=10)

    exact = np.sort(vectors @ query)[::-1][:10]
    assert len(found) == 10
    assert found[0].item_id == f"item {int(np.argmax(vectors @ query)):04d}"
    np.testing.assert_allclose([scored.score for scored in found], exact, atol=1e-5)


def test_ties_go_by_item_id_when_vectors_are_equal(index: CatalogueIndex) -> None:
    same = np.repeat(rows(1), 3, axis=0)
    index.upsert(items(3)[::-1], same)

    found = index.search(same[0], top_n=3)

    assert [scored.item_id for scored in found] == ["item 0000", "item 0001", "item 0002"]


def test_new_vector_counts_when_an_item_is_indexed_again(index: CatalogueIndex) -> None:
    index.upsert(items(2), rows(2))
    moved = rows(2, seed=9)

    index.upsert(items(2), moved)

    found = index.vectors([ItemId("item 0001"), ItemId("nothing"), ItemId("item 0001")])
    assert found.keys() == {"item 0001"}
    np.testing.assert_allclose(found[ItemId("item 0001")], moved[1], atol=1e-6)


def test_fewer_come_when_there_are_fewer(index: CatalogueIndex) -> None:
    index.upsert(items(2), rows(2))

    assert len(index.search(rows(1)[0], top_n=50)) == 2


def test_nothing_comes_when_the_index_is_empty(index: CatalogueIndex) -> None:
    index.upsert([], rows(0))

    assert index.search(rows(1)[0], top_n=5) == []
    assert index.vectors([ItemId("item 0001")]) == {}


def test_every_item_is_there_when_more_than_one_batch_is_indexed(index: CatalogueIndex) -> None:
    vectors = rows(2_100)
    index.upsert(items(2_100), vectors)

    found = index.vectors([item.item_id for item in items(2_100)])

    assert len(found) == 2_100
    np.testing.assert_allclose(found[ItemId("item 2099")], vectors[2_099], atol=1e-6)


def test_what_is_removed_is_found_no_more(index: CatalogueIndex) -> None:
    vectors = rows(20)
    index.upsert(items(20), vectors)
    gone, stays = ItemId("item 0003"), ItemId("item 0004")

    index.remove([gone, ItemId("never there")])
    index.remove([gone])

    assert list(index.vectors([gone, stays])) == [stays]
    assert gone not in {one.item_id for one in index.search(vectors[3], top_n=20)}


def test_nothing_is_removed_from_an_index_that_is_empty(index: CatalogueIndex) -> None:
    index.remove([ItemId("item 0003")])

    assert index.vectors([ItemId("item 0003")]) == {}
