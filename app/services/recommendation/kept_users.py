"""What answers need of the users who were asked for lately, as numbers, and overwritten at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain.models import ItemId, Kind, Pseudonym, Subject
from app.services.catalogue.base import Base
from app.services.catalogue.snapshot import CatalogueSnapshot
from app.services.recommendation.answer import Source
from app.services.recommendation.candidates import Candidate
from app.services.recommendation.user_snapshot import Recalled, UserSnapshot

_MOST_USERS: Final = 4_096
_MOST_TOUCHED: Final = 1_000
"""Items of a user; who has had to do with more is read each time."""
_KINDS: Final = tuple(Kind)
_SOURCES: Final = tuple(Source)
_NUMBER: Final = {kind: number for number, kind in enumerate(_KINDS)}
_Numbers = NDArray[np.int32]


class PoolState(NamedTuple):
    """What a list of candidates rests on besides its user.

    Args:
        edition: of the neighbours.
        catalogue: its version.
        wanted: how many candidates were asked for.
        in_sitting: see ``Wish``.
    """

    edition: int
    catalogue: int
    wanted: int
    in_sitting: bool


@dataclass(slots=True, eq=False)
class _Kept:
    """A user in numbers: items are rows of the catalogue as long as its base stays.

    Args:
        newest, kinds, values: of the newest memories; a value that there is not is NaN.
        touched: rows by kind, in the order of ``_KINDS``.
        last: seconds since 1970 of the last interaction, shape (1,); NaN without one.
        pool, sources, state: the usual candidates, once they were gathered, and when.
    """

    subject: Subject
    base: Base
    newest: _Numbers
    kinds: NDArray[np.int8]
    values: NDArray[np.float64]
    touched: tuple[_Numbers, ...]
    liked: _Numbers
    disliked: _Numbers
    last: NDArray[np.float64]
    pool: _Numbers = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    sources: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, dtype=np.int8))
    state: PoolState | None = None

    def overwrite(self) -> None:
        """Leave nothing of it in memory that the allocator gives to somebody else."""
        for column in (self.kinds, self.values, self.last, self.sources):
            column.fill(0)
        for rows in (self.newest, self.liked, self.disliked, self.pool, *self.touched):
            rows.fill(0)


class KeptUsers:
    """Some users as answers need them, so that not every answer reads a history.

    Safe to share between threads. Holds no word of anybody: who has said something, or does not
    want a topic, is not kept. What is kept is what the change feed has told up to now; whoever
    follows the feed drops a user with the user's counts. Readers get copies, so that what is
    dropped can be overwritten at once.

    With them the usual candidates, until the neighbours take something back or take in what was
    added, or the catalogue changes.

    Memory: 4 bytes an item touched, liked or disliked, 13 a newest memory, 5 a candidate, and about
    two kilobytes: 16 MB for the most users with a hundred items each.

    Args:
        most: users kept; whoever was asked for longest ago goes first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Pseudonym, _Kept] = OrderedDict()

    def __contains__(self, pseudonym: object) -> bool:
        return pseudonym in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, subject: Subject, catalogue: CatalogueSnapshot) -> UserSnapshot | None:
        """Return the user, if kept under this very epoch and these rights; else None."""
        with self._lock:
            kept = self._kept.get(subject.pseudonym)
            if kept is None or kept.subject != subject or kept.base is not catalogue.base:
                return None
            self._kept.move_to_end(subject.pseudonym)
            return _told(kept, catalogue.ids)

    def keep(self, known: UserSnapshot, catalogue: CatalogueSnapshot) -> None:
        """Keep a user who said nothing, and all of whose memories the catalogue can tell."""
        kept = _in_numbers(known, catalogue)
        if kept is None:
            return
        with self._lock:
            self._drop(kept.subject.pseudonym)
            self._kept[kept.subject.pseudonym] = kept
            while len(self._kept) > _MOST_USERS:
                self._drop(next(iter(self._kept)))

    def pool(
        self, known: UserSnapshot, state: PoolState, catalogue: CatalogueSnapshot
    ) -> list[Candidate] | None:
        """Return the user's usual candidates, if they were gathered in this very state."""
        with self._lock:
            kept = self._same(known)
            if kept is None or kept.state != state:
                return None
            rows, sources = kept.pool.tolist(), kept.sources.tolist()
        ids = catalogue.ids
        return [Candidate(ids[row], _SOURCES[n]) for row, n in zip(rows, sources, strict=True)]

    def keep_pool(
        self,
        known: UserSnapshot,
        state: PoolState,
        found: Sequence[Candidate],
        catalogue: CatalogueSnapshot,
    ) -> None:
        """Keep candidates that were gathered for what is still kept of the user.

        Args:
            known: the user.
            state: as it was before they were gathered.
            found: the candidates.
            catalogue: the one that they are of.
        """
        rows = _numbers(catalogue.rows[one.item_id] for one in found)
        sources = np.array([_SOURCES.index(one.source) for one in found], dtype=np.int8)
        with self._lock:
            kept = self._same(known)
            if kept is not None and kept.base is catalogue.base:
                for column in (kept.pool, kept.sources):
                    column.fill(0)
                kept.pool, kept.sources, kept.state = rows, sources, state

    def _same(self, known: UserSnapshot) -> _Kept | None:
        """Return what is kept of a user, if it is still what the user was told from."""
        kept = None if known.subject is None else self._kept.get(known.subject.pseudonym)
        return kept if kept is known.kept_as else None

    def drop(self, pseudonyms: Iterable[Pseudonym]) -> None:
        """Overwrite what is kept of these users."""
        with self._lock:
            for pseudonym in pseudonyms:
                self._drop(pseudonym)

    def clear(self) -> None:
        """Overwrite what is kept of anybody."""
        with self._lock:
            for pseudonym in list(self._kept):
                self._drop(pseudonym)

    def _drop(self, pseudonym: Pseudonym) -> None:
        kept = self._kept.pop(pseudonym, None)
        if kept is not None:
            kept.overwrite()


def _in_numbers(known: UserSnapshot, catalogue: CatalogueSnapshot) -> _Kept | None:
    """Return a user in numbers; None for one who is not kept."""
    rows, newest = catalogue.rows, known.newest
    told = {one.item_id for one in newest if one.item_id is not None and one.text is None}
    everything = [one for ids in known.touched.values() for one in ids]
    if (
        known.subject is None
        or not known.is_personal
        or known.has_words
        or known.topics
        or len(everything) > _MOST_TOUCHED
        or not rows.keys() >= set(everything)
        or len(told) < len({one.item_id for one in newest})
        or len(catalogue.vectors.of(told)) < len(told)
    ):
        return None
    return _Kept(
        subject=known.subject,
        base=catalogue.base,
        newest=_numbers(rows[one.item_id] for one in newest if one.item_id is not None),
        kinds=np.array([_NUMBER[one.kind] for one in newest], dtype=np.int8),
        values=np.array([one.value for one in newest], dtype=np.float64),  # None becomes NaN
        touched=tuple(_numbers(rows[one] for one in known.touched.get(kind, ())) for kind in Kind),
        liked=_numbers(rows[one] for one in known.liked),
        disliked=_numbers(rows[one] for one in known.disliked),
        last=np.array([known.last_s], dtype=np.float64),
    )


def _numbers(rows: Iterable[int]) -> _Numbers:
    return np.fromiter(rows, dtype=np.int32)


def _told(kept: _Kept, ids: Sequence[ItemId]) -> UserSnapshot:
    """Return the user in words again; shares no memory with what is kept."""
    columns = (kept.newest.tolist(), kept.kinds.tolist(), kept.values.tolist())
    return UserSnapshot(
        subject=kept.subject,
        newest=[
            Recalled(ids[row], _KINDS[kind], None if value != value else value)  # noqa: PLR0124 - NaN
            for row, kind, value in zip(*columns, strict=True)
        ],
        touched={
            kind: [ids[row] for row in rows.tolist()]
            for kind, rows in zip(_KINDS, kept.touched, strict=True)
            if len(rows)
        },
        liked=_named(kept.liked, ids),
        disliked=_named(kept.disliked, ids),
        last_s=float(kept.last[0]),
        is_personal=True,
        kept_as=kept,
    )


def _named(rows: _Numbers, ids: Sequence[ItemId]) -> list[ItemId]:
    return [ids[row] for row in rows.tolist()]
