"""Collaborative filtering from exact, decrementable statistics."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.domain.models import ItemId, Pseudonym, Scored


class Among(Protocol):
    """Some items, as a mask over an order of items."""

    @property
    def ids(self) -> Sequence[ItemId]:
        """Return the items in that order; the same object as long as the order is the same.

        An item that stands there twice is meant where it stands last.
        """
        ...

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Return which of them are meant, shape (len(ids),)."""
        ...


class Neighbours(Protocol):
    """Who liked this also liked that, held in memory, equal at all times to a rebuild.

    Thread-safe. The state is a pure function of who has which items in which order: the order
    of calls never shows. A user's items come newest first; of one given twice the first counts.
    """

    def build(self, histories: Iterable[tuple[Pseudonym, Sequence[ItemId]]]) -> None:
        """Replace the whole state by these users' items and refresh derived models.

        Many are best given as ``Histories``.
        """

    def apply(
        self,
        changes: Mapping[Pseudonym, Sequence[ItemId]],
        *,
        at_once: Collection[Pseudonym] | None = None,
    ) -> None:
        """Set each user's items to exactly these; an empty sequence forgets the user.

        Idempotent. After it returns no answer holds anything of pairs that were removed at once:
        a derived model that still does is withheld until it is refreshed.

        Args:
            changes: users and all their items.
            at_once: those of them of whom something was forgotten; None for all. What the others
                lost is as what was added: it waits for ``refresh``, unless something of the same
                user is forgotten first, which takes all with it that the user has no more.
        """

    def recommend(
        self,
        history: Sequence[ItemId],
        *,
        top_n: int,
        exclude: Collection[ItemId] = (),
        among: Among | None = None,
        in_sitting: bool = True,
    ) -> list[Scored]:
        """Return up to ``top_n`` items for someone with this history, ties by item id.

        Never an item of ``history`` or ``exclude``; items never seen by anyone are absent.

        Args:
            history: items that count as the user's.
            top_n: how many.
            exclude: items that take no place.
            among: the only items to return. Others keep their places, which ``Scored.rank`` tells;
                so a list is the same with them and without, but for them. None for all.
            in_sitting: whether somebody is at it: the newest items count most, and what people
                turned to next.
        """

    def repelled(self, *, liked: Sequence[ItemId], disliked: Sequence[ItemId]) -> set[ItemId]:
        """Return items of which people who have something disliked, too, are many.

        Such that nothing liked is half as near. The lists are to leave them out, whatever their
        source. Without a model of an item it repels nothing.
        """

    def popular(
        self,
        *,
        top_n: int,
        exclude: Collection[ItemId] = (),
        among: Among | None = None,
    ) -> list[Scored]:
        """Return items by number of users, ties by item id; arguments as of ``recommend``."""

    def refresh(self) -> bool:
        """Bring derived models up to the state's generation; return whether anything was done."""

    def is_settled(self) -> bool:
        """Whether no derived model holds anything of pairs that were removed at once."""

    def state_hash(self, *, in_full: bool = False) -> str:
        """Return 64 hex digits that stand for the state, equal for equal states.

        Args:
            in_full: read every list and count that is held; takes as long as the state is
                large. Else the hash of users and their items that is kept up with every change.
        """

    def is_hashed(self) -> bool:
        """Whether ``state_hash`` need not wait: that of a large build takes longer than the build.

        Each call brings it a little nearer.
        """

    def hash_of(self, histories: Iterable[tuple[Pseudonym, Sequence[ItemId]]]) -> str:
        """Return the full state hash that these users' items would have; changes nothing."""

    def edition(self) -> int:
        """Return a number raised by all that a kept list must not outlive.

        That is whatever takes something from somebody, or moves it in their list, at once; and
        what was only added with the next ``refresh``.
        """
