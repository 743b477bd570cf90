"""Clusters of the catalogue, and the strategies over them."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.adapters.llm.diversity_table import load_diversity_table
from app.domain.errors import IntegrityError
from app.domain.models import Item, ItemId
from app.domain.recommendation.memory import describe_item
from app.services.catalogue.clusters import ItemClusters
from tests.world import World, catalogue


def clusters_of(world: World) -> ItemClusters:
    return ItemClusters(uows=world.adapters.uows, index=world.adapters.catalogue_index)


def test_clusters_change_with_the_catalogue_and_with_no_user(own_world: World) -> None:
    clusters = clusters_of(own_world)
    vectors = own_world.adapters.embedder.embed([describe_item(item) for item in catalogue()])
    assert set(clusters.of(vectors)) == {0}, "before the first refresh"
    assert clusters.refresh()
    before = clusters.of(vectors)
    assert len(set(before)) > 1

    own_world.read("newcomer", ["sea-01", "sea-02"])
    assert not clusters.refresh()
    others = clusters_of(own_world)
    others.refresh()
    assert np.array_equal(others.of(vectors), before), "another process has the same ones"

    own_world.container.catalogue.upsert([Item(ItemId("new"), "A history of lighthouses")])
    assert clusters.refresh()


TABLE = {
    "embedder_id": "e",
    "source": "test",
    "centres": [[1.0, 0.0], [0.0, 1.0]],
    "worth": [[0.1, 0.2, 0.3], [0.3, 0.31, 0.32]],
}


def test_a_table_gives_each_cluster_the_share_it_is_worth(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(TABLE), encoding="utf-8")

    found = load_diversity_table(path, embedder_id="e", dim=2)

    assert found.shares == [0.5, 0.5]
    assert found.centres.shape == (2, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"embedder_id": "other"},
        {"centres": [[1.0], [0.0]]},
        {"worth": [[0.1, 0.2, 0.3]]},
        {"worth": [[0.1, 0.2, 0.3], [0.3]]},
        {"more": 1},
    ],
)
def test_a_table_of_another_shape_or_embedder_is_refused(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(TABLE | wrong), encoding="utf-8")

    with pytest.raises(IntegrityError, match="diversity table"):
        load_diversity_table(path, embedder_id="e", dim=2)


def test_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="no diversity table"):
        load_diversity_table(tmp_path / "none.json", embedder_id="e", dim=2)
