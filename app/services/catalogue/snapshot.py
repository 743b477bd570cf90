"""One version of the catalogue in the process: items, columns, vectors and clusters."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from heapq import nsmallest
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.models import Item, ItemId, Scored
from app.domain.recommendation.clusters import mean_of, spherical_k_means
from app.domain.recommendation.column import Mask
from app.domain.recommendation.columns import Narrowing
from app.domain.recommendation.filter import CatalogueEntry, Where, matches
from app.services.catalogue.base import Base
from app.services.catalogue.eligible import Eligible
from app.services.catalogue.lexicon import Lexicon, words_in
from app.services.catalogue.vectors import ItemVectors, Vector, best_of, exact_cosines

N_CLUSTERS: Final = 8
_SAMPLE: Final = 1024
"""Items that clusters and mean are of at most: as good as all, at any size of catalogue."""
MAX_EXACT: Final = 20_000
"""Up to here one product with all vectors is faster than the index: 20 MB of 256 dimensions."""
_ANY_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MAX_CHANGED: Final = 500
"""Items that may differ from the columns: 2 ms of judging them one by one for each filter."""
_FEW: Final = 2_000
"""Of a larger catalogue, up to so many eligible items are compared one by one."""


def is_shown(entry: CatalogueEntry) -> bool:
    """Return whether an item may be in a list at all; one that may not is evidence still."""
    return entry.available and not entry.item.is_stub


@dataclass(frozen=True)
class CatalogueSnapshot:
    """The catalogue as it was at a version. Never changes; what is derived is made at first use.

    Answers are the same whichever items the columns were made of: those that have changed since
    are few, and each is judged by itself.

    Args:
        version: of the catalogue; 0 for one that was never read.
        vectors: of the items.
        entries: every item as it is.
        ids: by row; rows of removed items stay until the next ``in_order``, and say nothing. The
            same object in later versions as long as no row is added or moved.
        rows: the row of every item.
        available: which rows may be in a list, shape (n_rows,).
        base: the items of the first rows as they were when they were last put in order.
        changed: rows whose item is another one than in the base, or gone.
        names: how many items have each attribute.
        max_exact: the largest catalogue, in items, that is searched without the index.
    """

    version: int
    vectors: ItemVectors
    entries: Mapping[ItemId, CatalogueEntry] = field(default_factory=dict)
    ids: Sequence[ItemId] = ()
    rows: Mapping[ItemId, int] = field(default_factory=dict)
    available: Mask = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    base: Base = field(default_factory=lambda: Base(()))
    changed: frozenset[int] = frozenset()
    names: Mapping[str, int] = field(default_factory=dict)
    max_exact: int = MAX_EXACT

    @classmethod
    def of(cls, items: Iterable[Item], vectors: ItemVectors) -> CatalogueSnapshot:
        """Return the snapshot of these items, all available, at version 1."""
        entries = [CatalogueEntry(one, _ANY_MOMENT) for one in items]
        return cls(0, vectors).after(entries, removed=(), version=1).in_order()

    def after(
        self, changed: Iterable[CatalogueEntry], *, removed: Collection[ItemId], version: int
    ) -> CatalogueSnapshot:
        """Return a later version: some items added, changed or removed."""
        new = {one.item.item_id: one for one in changed}
        entries, rows, added = dict(self.entries), dict(self.rows), list[ItemId]()
        n_rows = len(self.ids)
        names, touched = Counter(self.names), set(self.changed)
        for item_id in (*new, *removed):
            if item_id in entries:
                names.subtract(entries[item_id].item.attributes.keys())
                touched.add(rows[item_id])
        for item_id, entry in new.items():
            names.update(entry.item.attributes.keys())
            entries[item_id] = entry
            if item_id not in rows:
                rows[item_id] = n_rows + len(added)
                touched.add(rows[item_id])
                added.append(item_id)
        available = np.zeros(n_rows + len(added), dtype=np.bool_)
        available[:n_rows] = self.available
        for item_id, entry in new.items():
            available[rows[item_id]] = is_shown(entry)
        for item_id in removed:
            del entries[item_id]
            available[rows.pop(item_id)] = False
        later = replace(
            self,
            version=version,
            base=self.base.without(touched if len(touched) <= _MAX_CHANGED else ()),
            vectors=self.vectors.without({*new, *removed}),
            entries=entries,
            ids=(*self.ids, *added) if added else self.ids,
            rows=rows,
            available=available,
            changed=frozenset(touched),
            names=+names,
        )
        self._keep_lexicon_up(later, {*new, *removed})
        return later if len(touched) <= _MAX_CHANGED else later.in_order()

    def _keep_lexicon_up(self, later: CatalogueSnapshot, changed: Collection[ItemId]) -> None:
        if "lexicon" not in vars(self):
            return
        told = [
            (
                (later if one in later.rows else self).rows[one],
                words_in(self.entries, one),
                words_in(later.entries, one),
            )
            for one in changed
        ]
        vars(later)["lexicon"] = self.lexicon.after(told, n_rows=len(later.ids))

    def in_order(self) -> CatalogueSnapshot:
        """Return the same version over a base of its own, so that nothing removed is left in it.

        Vectors that the index did not have are asked for again.
        """
        base = Base(self.entries.values())
        ids = tuple(one.item.item_id for one in base.entries)
        rows = {item_id: row for row, item_id in enumerate(ids)}
        later = replace(
            self,
            vectors=self.vectors.retried(),
            ids=ids,
            rows=rows,
            available=np.array([is_shown(one) for one in base.entries], dtype=np.bool_),
            base=base,
            changed=frozenset(),
        )
        if "lexicon" in vars(self):
            moved = np.array([rows.get(one, -1) for one in self.ids], dtype=np.int32)
            vars(later)["lexicon"] = self.lexicon.moved(moved, n_rows=len(ids))
        return later

    def items(self, item_ids: Iterable[ItemId]) -> dict[ItemId, Item]:
        """Return those of these items that there are."""
        entries = self.entries
        return {one: entries[one].item for one in item_ids if one in entries}

    def matrix(self, item_ids: Sequence[ItemId]) -> tuple[list[ItemId], Vector]:
        """Return those of the items that have a vector, and these; see ``ItemVectors.matrix``."""
        if len(self.rows) > self.max_exact:
            return self.vectors.matrix(item_ids)
        place = self._held_place
        having = [one for one in item_ids if one in place]
        return having, self._held[1][[place[one] for one in having]]

    def eligible(self) -> Eligible:
        """Return every item that may be in a list."""
        return Eligible(self.ids, self.rows, self.available, self.mask)

    def mask(self, where: Where) -> Mask:
        """Return which items a filter lets pass, shape (n_rows,); those not available, too."""
        found = np.zeros(len(self.ids), dtype=np.bool_)
        found[: len(self.base.entries)] = self.base.columns.mask(where)
        for row in self.changed:
            item_id = self.ids[row]
            is_there = self.rows.get(item_id) == row
            found[row] = is_there and matches(where, self.entries[item_id])
        return found

    def narrowing(self, where: Where, *, among: Mask) -> tuple[Narrowing, ...]:
        """Return what each clause leaves of some items, in turn.

        Args:
            where: the filter.
            among: the items to begin with, shape (n_rows,).
        """
        left = among.copy()
        steps = []
        for clause in where.clauses:
            alone = self.mask(Where((clause,)))
            left &= alone
            steps.append(
                Narrowing(clause.path, int(np.count_nonzero(alone)), int(np.count_nonzero(left)))
            )
        return tuple(steps)

    def nearest(
        self,
        query: Vector,
        *,
        top_n: int,
        exclude: Collection[ItemId] = (),
        among: Eligible | None = None,
        depth: int = 0,
    ) -> list[Scored]:
        """Return up to ``top_n`` items by cosine to ``query`` (shape (dim,)), ties by item id.

        Exact up to ``max_exact`` items, and where few are eligible; else as good as the index,
        which is asked for more than are wanted, as it knows nothing of what is eligible.

        Args:
            query: unit norm.
            top_n: how many.
            exclude: items that take no place.
            among: the only items to return, each with its rank among all; None for all.
            depth: most items asked of the index; at least ``top_n``.

        Raises:
            DependencyUnavailableError: the index does not answer.
        """
        if len(self.rows) <= self.max_exact:
            item_ids, vectors = self._held
            if not item_ids:
                return []
            cosines, place = exact_cosines(vectors, query), self._held_place
            cosines[[place[one] for one in exclude if one in place]] = -np.inf
            eligible = None if among is None else among.mask[self._held_rows]
            return best_of(item_ids, cosines, top_n=top_n, eligible=eligible)
        n_eligible = len(self.rows) if among is None else len(among)
        if among is not None and n_eligible <= _FEW:
            barred = set(exclude)
            item_ids, vectors = self.vectors.matrix([one for one in among if one not in barred])
            if not item_ids:
                return []
            return best_of(item_ids, exact_cosines(vectors, query), top_n=top_n)
        wanted = (top_n + len(exclude)) * len(self.rows) // n_eligible
        found = self.vectors.index.search(query, top_n=min(wanted, max(depth, top_n)))
        placed = [one for one in found if one.item_id not in exclude]
        return [
            Scored(one.item_id, one.score, rank)
            for rank, one in enumerate(placed, start=1)
            if (one.item_id in self.rows if among is None else one.item_id in among)
        ][:top_n]

    def wordy(
        self,
        text: str,
        *,
        top_n: int,
        exclude: Collection[ItemId] = (),
        among: Eligible | None = None,
    ) -> list[Scored]:
        """Return up to ``top_n`` items that share telling words with a text; see ``nearest``."""
        scores = self.lexicon.scores(text)
        scores[[self.rows[one] for one in exclude if one in self.rows]] = 0
        scores[scores <= 0] = -np.inf
        eligible = None if among is None else among.mask
        return best_of(self.ids, scores, top_n=top_n, eligible=eligible)

    @cached_property
    def lexicon(self) -> Lexicon:
        """The words of the items, made when first asked for: some seconds for 100,000."""
        told = ((row, "", words_in(self.entries, one)) for one, row in self.rows.items())
        return Lexicon().after(told, n_rows=len(self.ids))

    @cached_property
    def _held(self) -> tuple[list[ItemId], Vector]:
        return self.vectors.matrix(list(self.rows))

    @cached_property
    def _held_place(self) -> Mapping[ItemId, int]:
        return {item_id: place for place, item_id in enumerate(self._held[0])}

    @cached_property
    def _held_rows(self) -> NDArray[np.int64]:
        return np.array([self.rows[one] for one in self._held[0]], dtype=np.int64)

    @cached_property
    def centres(self) -> NDArray[np.float32]:
        """Centres of clusters of the items, shape (c, dim): kinds of taste. Of nothing of users."""
        return spherical_k_means(self._sampled, k=N_CLUSTERS)

    @cached_property
    def common(self) -> Vector:
        """What all items say: the mean of their vectors, shape (dim,); (0,) without any."""
        return mean_of(self._sampled)

    @cached_property
    def _sampled(self) -> Vector:
        return self.vectors.matrix(nsmallest(_SAMPLE, self.rows, key=_place))[1]


def _place(item_id: ItemId) -> bytes:
    return hashlib.sha256(item_id.encode()).digest()
