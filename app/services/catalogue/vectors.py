"""Vectors of the catalogue's items, read from the index when first asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.models import ItemId, Scored
from app.domain.privacy.rotation import quantise
from app.ports.memory_store import CatalogueIndex

Vector = NDArray[np.float32]
_MAX_KEPT: Final = 100_000
"""Some 1.2 kB each with 256 dimensions; beyond it all are let go and read anew."""
_ITEM_BITS: Final = 12
_QUERY_BITS: Final = 11


def on_item_grid(vectors: Vector) -> Vector:
    """Round vectors of items, so that they are the same however the index keeps them.

    It gives back what was written, or that divided by its norm, which is 1 to some 10^-4: written
    on this grid and rounded to it again, a vector has the bits it had.
    """
    return quantise(vectors, bits=_ITEM_BITS)


def exact_cosines(vectors: Vector, query: Vector) -> Vector:
    """Return the cosine of each item to a query, rounded by some 2 * 10^-4, the same anywhere.

    Products of a multiple of 2^-12 and one of 2^-11 are multiples of 2^-23, and no sum of them
    exceeds 1 by much: float32 holds every one exactly, in whatever order a library adds them.

    Args:
        vectors: of items, on their grid, shape (m, dim).
        query: unit norm, shape (dim,).
    """
    cosines: Vector = vectors @ quantise(query, bits=_QUERY_BITS)
    return cosines


class ItemVectors:
    """The vectors of one version of the catalogue.

    What was read once stays for later versions, too, until the item changes.
    """

    def __init__(
        self, index: CatalogueIndex, known: Mapping[ItemId, Vector | None] | None = None
    ) -> None:
        """Keep the index, and what is known of it: None for an item that it does not have yet."""
        self.index = index
        self._known = dict(known or {})

    def of(self, item_ids: Collection[ItemId]) -> dict[ItemId, Vector]:
        """Return the vectors of these items; those that the index does not have are left out.

        Raises:
            DependencyUnavailableError: some were to be read, and the index does not answer.
        """
        found = {one: self._known[one] for one in item_ids if one in self._known}
        unread = [one for one in item_ids if one not in found]
        if unread:
            fresh = self.index.vectors(unread)
            having = list(fresh)
            rows = on_item_grid(np.stack([fresh[one] for one in having])) if having else ()
            found |= dict.fromkeys(unread) | dict(zip(having, rows, strict=True))
            if len(self._known) + len(unread) > _MAX_KEPT:
                self._known = {}
            self._known.update((one, found[one]) for one in unread)
        return {one: vector for one, vector in found.items() if vector is not None}

    def matrix(self, item_ids: Sequence[ItemId]) -> tuple[list[ItemId], Vector]:
        """Return those of the items that have a vector, and these vectors, shape (m, dim).

        Raises:
            DependencyUnavailableError: some were to be read, and the index does not answer.
        """
        found = self.of(item_ids)
        having = [one for one in item_ids if one in found]
        if not having:
            return [], np.empty((0, 0), dtype=np.float32)
        rows = np.stack([found[one] for one in having])
        # Views of one array instead of as many small ones: half the memory.
        self._known.update(zip(having, rows, strict=True))
        return having, rows

    def without(self, item_ids: Collection[ItemId]) -> ItemVectors:
        """Return those of a later version, in which these items have changed or are gone."""
        known = self._known.copy()
        for item_id in item_ids:
            known.pop(item_id, None)
        return ItemVectors(self.index, known)

    @property
    def has_gaps(self) -> bool:
        """Whether the index did not have some that were asked for."""
        return any(one is None for one in self._known.copy().values())

    def retried(self) -> ItemVectors:
        """Return the same; what the index did not have is asked for again."""
        known = self._known.copy()
        return ItemVectors(self.index, {one: v for one, v in known.items() if v is not None})


def best_of(
    item_ids: Sequence[ItemId],
    cosines: NDArray[np.float32],
    *,
    top_n: int,
    eligible: NDArray[np.bool_] | None = None,
) -> list[Scored]:
    """Return the ``top_n`` items of the highest cosines, ties by id; none whose cosine is -inf.

    Args:
        item_ids: m of them.
        cosines: of each.
        top_n: how many.
        eligible: which may be returned, each with its rank among all; None for all.
    """
    if not len(cosines) or top_n < 1:
        return []
    eyed = cosines if eligible is None else np.where(eligible, cosines, -np.inf)
    first = max(len(eyed) - top_n, 0)
    border = np.partition(eyed, first)[first]
    near: list[int] = np.flatnonzero((eyed >= border) & (eyed > -np.inf)).tolist()
    ranked = sorted((-float(cosines[at]), item_ids[at]) for at in near)[:top_n]
    if eligible is None or not ranked:
        return [Scored(item_id, -score) for score, item_id in ranked]
    above = np.sort(cosines[cosines >= -ranked[-1][0]])
    places = len(above) - np.searchsorted(above, [-one[0] for one in ranked], side="right") + 1
    return [
        Scored(item_id, -score, rank)
        for (score, item_id), rank in zip(ranked, places.tolist(), strict=True)
    ]
