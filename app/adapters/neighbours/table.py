"""Putting the scores of several sources side by side, items by id."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.adapters.neighbours.ease import Ease, Floats
from app.adapters.neighbours.lists import Ints
from app.adapters.neighbours.state import State
from app.domain.models import ItemId
from app.ports.neighbours import Among


@dataclass(slots=True, eq=False)
class Table:
    """Where each item that can be listed stands in the state and in a model.

    In the order of the ids, so that a sum over it has the same bits whatever the slots.

    Args:
        items: ids, ascending.
        slots: of the state; -1 for an item that nobody has any more.
        positions: in the model; -1 for an item that it does not know.
    """

    items: Sequence[ItemId]
    slots: Ints
    positions: Ints
    _rows: tuple[Sequence[ItemId], Ints] | None = field(default=None, init=False, repr=False)

    @classmethod
    def of(cls, state: State, model: Ease | None, *, is_whole: bool) -> Self:
        """Return the table of a model of the whole catalogue, or of all items of the state."""
        items = model.items if model and is_whole else state.items.in_order()[0]
        position = model.position if model else {}
        return cls(
            items,
            np.array([state.items.number.get(item, -1) for item in items], dtype=np.int64),
            np.array([position.get(item, -1) for item in items], dtype=np.int64),
        )

    def places(self, item_ids: Iterable[ItemId]) -> Ints:
        """Return where those of the items stand that are in the table."""
        items, n_items = self.items, len(self.items)
        found = ((bisect_left(items, one), one) for one in item_ids)
        return np.array(
            [at for at, one in found if at < n_items and items[at] == one], dtype=np.int64
        )

    def eligible(self, among: Among | None) -> NDArray[np.bool_] | None:
        """Return which items of the table are among some, shape (len(items),); None for all.

        Where each item stands in the order of the mask is looked up once for each order.
        """
        if among is None:
            return None
        known = self._rows
        if known is None or known[0] is not among.ids:
            row = {item: at for at, item in enumerate(among.ids)}
            rows = np.array([row.get(item, -1) for item in self.items], dtype=np.int64)
            known = self._rows = (among.ids, rows)
        return np.append(among.mask, False).take(known[1])  # in half the time of [rows]

    def of_slots(self, values: Floats) -> Floats:
        """Return values by slot in the order of the table; 0 for items that nobody has."""
        return np.append(values, 0.0).take(self.slots)

    def joined(self, ease: Floats | None, near: Floats) -> Floats:
        """Return the scores of head and tail: EASE's, and the neighbours' on its scale.

        The scale is the one under which the neighbours' scores of the head come nearest to
        EASE's (least squares through zero over what EASE is for). Without common ground there
        is no scale, and the tail stays out.

        Args:
            ease: scores by position, -inf for what must not be listed; None without a model.
            near: the neighbours' scores by slot, >= 0; 0 for what must not be listed.
        """
        scores = self.of_slots(near)
        if ease is not None:
            is_head = self.positions >= 0
            head = ease[self.positions[is_head]]
            shared, wanted = scores[is_head], np.maximum(head, 0.0)
            mass = float((shared * shared).sum())
            scores *= float((shared * wanted).sum()) / mass if mass else 0.0
            scores[scores == 0] = -np.inf
            scores[is_head] = head
        scores[scores == 0] = -np.inf
        return scores

    def with_share(self, scores: Floats, other: Floats, *, share: float) -> Floats:
        """Return the sum of two sources, each in its own standard deviations.

        Not centred, so that a score of 0 or less still is no evidence.

        Args:
            scores: in the order of the table, -inf for what must not be listed.
            other: by slot, >= 0.
            share: what a deviation of the other counts, in deviations of the first.
        """
        listed = scores > -np.inf
        added = self.of_slots(other)
        spread = float(added[listed].std()) if listed.any() else 0.0
        if not spread:
            return scores
        summed: Floats = scores / (float(scores[listed].std()) or 1.0) + added * (share / spread)
        return summed
