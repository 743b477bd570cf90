"""The items that an answer may hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.domain.models import ItemId
from app.domain.recommendation.column import Mask
from app.domain.recommendation.filter import Where


@dataclass(frozen=True, slots=True)
class Eligible(Collection[ItemId]):
    """The items that an answer may hold.

    Args:
        ids: in the order of the mask; the same object while the order is the same.
        rows: the place of each.
        mask: which of them, shape (n_rows,).
        passing: tells which rows a filter lets pass.
    """

    ids: Sequence[ItemId]
    rows: Mapping[ItemId, int]
    mask: Mask
    passing: Callable[[Where], Mask]

    def __contains__(self, item_id: object) -> bool:
        row = self.rows.get(item_id)  # type: ignore[call-overload] # any object may be asked for
        return row is not None and bool(self.mask[row])

    def __iter__(self) -> Iterator[ItemId]:
        return (self.ids[row] for row in np.flatnonzero(self.mask).tolist())

    def __len__(self) -> int:
        return int(np.count_nonzero(self.mask))

    def within(self, where: Where) -> Eligible:
        """Return those that a filter lets pass."""
        return replace(self, mask=self.mask & self.passing(where)) if where.clauses else self

    def without(self, item_ids: Iterable[ItemId]) -> Eligible:
        """Return those that are none of these."""
        mask, rows = self.mask.copy(), self.rows
        mask[[rows[one] for one in item_ids if one in rows]] = False
        return replace(self, mask=mask)
