"""Clusters of the catalogue, and the strategies over them."""

import numpy as np

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
