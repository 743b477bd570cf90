"""Clusters of the catalogue's items: kinds of taste, from items only and never from users."""

from __future__ import annotations

import hashlib
from heapq import nsmallest
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.models import ItemId
from app.domain.recommendation.clusters import nearest, spherical_k_means
from app.ports.memory_store import CatalogueIndex
from app.ports.persistence.unit_of_work import UnitsOfWork

N_CLUSTERS: Final = 8
_SAMPLE: Final = 1024
"""Items that the clusters are made from at most: as good as all, at any size of catalogue."""
_NO_CENTRES: Final[NDArray[np.float32]] = np.empty((0, 0), dtype=np.float32)


class ItemClusters:
    """Tells the cluster of a vector.

    The clusters are a function of the catalogue alone, so no erasure changes them, and no erased
    user ever had a part in them. Two processes with one catalogue have the same ones.
    """

    def __init__(self, *, uows: UnitsOfWork, index: CatalogueIndex) -> None:
        """Start without any, so that everything is one cluster."""
        self._uows = uows
        self._index = index
        self._centres = _NO_CENTRES
        self._version = ""

    def refresh(self) -> bool:
        """Cluster the catalogue anew where it has changed; return whether that was done.

        Raises:
            DependencyUnavailableError: the catalogue cannot be read; the old clusters stay.
        """
        with self._uows.read() as uow:
            version = uow.items.version()
            if version == self._version:
                return False
            sample = nsmallest(_SAMPLE, (one.item_id for one in uow.items.all_items()), key=_place)
        found = self._index.vectors(sample)
        if found:
            vectors = np.stack([found[item_id] for item_id in sample if item_id in found])
            self._centres = spherical_k_means(vectors, k=N_CLUSTERS)
        if len(found) == len(sample):
            self._version = version
        return True

    def of(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the cluster of each vector, shape (m,); 0 for all before the first refresh."""
        return nearest(self._centres, vectors)


def _place(item_id: ItemId) -> bytes:
    return hashlib.sha256(item_id.encode()).digest()
