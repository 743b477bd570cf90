"""Which remembered items speak for a recommended one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.domain.models import Item, ItemId
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.recommendation.memory_selection import SelectableMemories


def because(
    item_ids: Sequence[ItemId],
    memories: SelectableMemories,
    catalogue: CatalogueSnapshot,
    *,
    most: int,
) -> dict[ItemId, list[Item]]:
    """Return up to ``most`` remembered items closest in meaning to each item, each once.

    By the catalogue's vectors on both sides: the memories' own are rounded, and hold what the
    user said of the item besides.

    Raises:
        DependencyUnavailableError: vectors were to be read, and the index does not answer.
    """
    remembered_ids = memories.item_ids
    if not remembered_ids:
        return {}
    having, rows = catalogue.matrix(sorted({*item_ids, *remembered_ids}))
    place = {item_id: at for at, item_id in enumerate(having)}
    strengths: dict[ItemId, list[float]] = {}
    for entry, strength in zip(memories.entries, memories.strength, strict=True):
        item_id = entry.item_id
        if item_id is not None and item_id in place and item_id in catalogue.entries:
            strengths.setdefault(item_id, []).append(float(strength))
    targets = [item_id for item_id in item_ids if item_id in place]
    if not strengths or not targets:
        return {}
    remembered = sorted(strengths)
    cosines: NDArray[np.float32] = (
        rows[[place[one] for one in targets]] @ rows[[place[one] for one in remembered]].T
    )
    # Of several memories of an item the strongest speaks; against it, the weakest.
    strongest = np.array([max(strengths[one]) for one in remembered])
    weakest = np.array([min(strengths[one]) for one in remembered])
    nearness = np.where(cosines > 0, cosines * strongest, cosines * weakest)
    # Stable over ascending ids, so ties go by id.
    order = np.argsort(-nearness, axis=1, kind="stable")[:, :most]
    return {
        target: [catalogue.entries[remembered[at]].item for at in row]
        for target, row in zip(targets, order.tolist(), strict=True)
    }
