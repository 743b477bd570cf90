"""The Neighbours port over exact counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from app.adapters.neighbours.directed import successors
from app.adapters.neighbours.ease import Ease, Floats, fit
from app.adapters.neighbours.head import Head
from app.adapters.neighbours.query import Query
from app.adapters.neighbours.ranking import best_items
from app.adapters.neighbours.serving import Losses, Refresh, Serving
from app.adapters.neighbours.state import Counts, State
from app.adapters.neighbours.table import Table
from app.adapters.neighbours.user_knn import UserKnn
from app.adapters.neighbours.weighing import Weighing
from app.domain.models import ItemId, Pseudonym, Scored
from app.ports.neighbours import Among

_Changes = Mapping[Pseudonym, Sequence[ItemId]]
History = tuple[Pseudonym, Sequence[ItemId]]
_HASHED_AT_ONCE: Final = 200  # users; some milliseconds under the lock
_REST_S: Final = 0.0002
_HASH_WAIT_S: Final = 1.0  # in which some 100,000 users are hashed


class ExactNeighbours:
    """Integer counts that are decremented, EASE derived from them, user-kNN without it.

    Up to ``dense_limit`` items the ranker is EASE, computed by ``refresh``, swapped in whole and
    read without a lock. After a removal the old model is only used through its downdate, which
    leaves out what was removed; where that is not sound, user-kNN answers on the posting lists,
    under the lock that ``apply`` takes. Above the limit EASE covers the ``head_limit`` items that
    most users have, counted anew for each refresh, and user-kNN the rest, under that lock.

    Memory: the state's and the model's (``State``, ``Ease``), and 16 bytes a cell in a refresh.

    Args:
        dense_limit: the largest catalogue, in items, that EASE is computed for as a whole.
        head_limit: how many items of a larger one it is computed for; 0 for none.
        regularisation: EASE's lambda > 0. Configuration: never tuned on live data.
        is_graded: weigh users and items, see ``Weighing``; False for EASE as published.
        recency: share of what an item of a history counts that fades with newer ones; 0: none,
            in a sitting neither.
        order_weight: what counts that people turned to next, beside what they have in common,
            both in standard deviations; 0 for nothing.
        max_removals: how many users with removals a downdate takes; with more, user-kNN answers.
        knn: the ranker without a model.
    """

    def __init__(
        self,
        *,
        dense_limit: int = 10_000,
        head_limit: int = 0,
        regularisation: float = 600.0,
        is_graded: bool = False,
        recency: float = 0.0,
        order_weight: float = 0.0,
        max_removals: int = 128,
        knn: UserKnn | None = None,
    ) -> None:
        self._dense_limit = dense_limit
        self._head_limit = head_limit
        self._weighing = Weighing(regularisation=regularisation, is_graded=is_graded)
        self._recency = recency
        self._order_weight = order_weight
        self._max_removals = max_removals
        self._knn = knn or UserKnn(n_neighbours=100, length_penalty=0.6, max_cells=2_000_000)
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._state = self._of(())
        self._counted = self._edition = 0
        self._tables: dict[Ease | None, Table] = {}
        self._serving: Serving | None = None
        self._losses = Losses()
        self._coming: Refresh | None = None
        self._builds = 0

    def build(self, histories: Iterable[History]) -> None:
        """Replace the whole state by these users' items and refresh derived models."""
        state = self._of(histories)
        with self._lock:
            self._state = state
            self._counted += 1
            self._withdraw()
        self.refresh()
        hashing = threading.Thread(target=self.state_hash, name="neighbours-hash", daemon=True)
        hashing.start()
        hashing.join(_HASH_WAIT_S)

    def _of(self, histories: Iterable[History]) -> State:
        state = State(dense_limit=self._dense_limit, weighing=self._weighing)
        state.load(histories)
        return state

    @property
    def _has_model(self) -> bool:
        return self._state.is_dense or self._head_limit > 0

    def _withdraw(self) -> None:
        """Serve no model, and none that is being computed, until the next refresh."""
        self._edition += 1
        self._serving = None
        self._tables.clear()
        self._losses = Losses()
        self._builds += 1

    def apply(self, changes: _Changes, *, at_once: Collection[Pseudonym] | None = None) -> None:
        """Set each user's items to exactly these; an empty sequence forgets the user."""
        with self._lock:
            items_before = self._state.items.changes
            changed = [
                self._set(user, items, at_once=at_once is None or user in at_once)
                for user, items in changes.items()
            ]
            if not any(changed):
                return
            if items_before != self._state.items.changes:
                self._tables.clear()
            if not self._has_model:
                self._withdraw()
            elif self._serving:
                self._serve(self._serving.model, is_whole=self._serving.is_whole)

    def _set(self, user: Pseudonym, told: Sequence[ItemId], *, at_once: bool) -> bool:
        """Set a user's items; return whether models answer otherwise for it, now or next."""
        had = self._state.set_user(user, items := tuple(dict.fromkeys(told)))
        before, after = frozenset(had), frozenset(items)
        present = self._state.items.number
        taken, is_other = False, before != after
        if is_other or at_once:  # another order changes no count that a model is made of
            for losses in self._watched():
                taken |= losses.note(user, before, after, present=present, at_once=at_once)
        if taken or had != tuple(item for item in items if item in before):
            self._edition += 1
        self._counted += is_other
        return taken or is_other

    def _watched(self) -> list[Losses]:
        """Return the losses of the model that serves and of the one on its way."""
        serving = [self._losses] if self._serving else []
        return serving + ([self._coming.losses] if self._coming else [])

    def _serve(self, model: Ease, *, is_whole: bool) -> None:
        previous = self._serving if self._serving and self._serving.model is model else None
        if previous is None:
            self._tables.clear()  # or they would keep a model that was replaced
        self._serving = Serving(
            model,
            self._losses,
            max_removals=self._max_removals,
            is_whole=is_whole,
            previous=previous,
        )

    def recommend(
        self,
        history: Sequence[ItemId],
        *,
        top_n: int,
        exclude: Collection[ItemId] = (),
        among: Among | None = None,
        in_sitting: bool = True,
    ) -> list[Scored]:
        """Return up to ``top_n`` items for someone with this history, ties by item id."""
        query = Query.of(history, recency=self._recency, in_sitting=in_sitting, never=exclude)
        serving = self._serving
        # Without the lock, for this takes longest: an answerer never changes.
        ease = serving.scores(query) if serving else None
        with self._lock:
            if serving is not self._serving:  # something was removed meanwhile
                serving = self._serving
                ease = serving.scores(query) if serving else None
            table, scores = self._scored(query, serving if ease is not None else None, ease)
            if self._order_weight and in_sitting:
                following = successors(self._state, query)
                scores = table.with_share(scores, following, share=self._order_weight)
        return best_items(scores, table.items, top_n=top_n, eligible=table.eligible(among))

    def _scored(
        self, query: Query, serving: Serving | None, ease: Floats | None
    ) -> tuple[Table, Floats]:
        """Return the scores of a model, of head and tail, or of the nearest users alone."""
        table = self._table(serving)
        if ease is not None and serving is not None and serving.is_whole:
            return table, ease
        return table, table.joined(ease, self._knn.scores(self._state, query))

    def _table(self, serving: Serving | None) -> Table:
        model = serving.model if serving else None
        if model not in self._tables:
            is_whole = serving is not None and serving.is_whole
            self._tables[model] = Table.of(self._state, model, is_whole=is_whole)
        return self._tables[model]

    def repelled(self, *, liked: Sequence[ItemId], disliked: Sequence[ItemId]) -> set[ItemId]:
        """Return what is so much nearer to something disliked that it is not to be shown."""
        serving = self._serving
        return serving.repelled(liked=liked, disliked=disliked) if serving else set()

    def popular(
        self,
        *,
        top_n: int,
        exclude: Collection[ItemId] = (),
        among: Among | None = None,
    ) -> list[Scored]:
        """Return items by number of users, ties by item id."""
        with self._lock:
            # Of a model of the whole the table may lack items that came after it.
            table = self._table(None if self._serving and self._serving.is_whole else self._serving)
            degrees = self._state.postings.items.length[: len(self._state.items.key)]
            scores = table.of_slots(degrees.astype(np.float64))
        scores[scores == 0] = -np.inf
        scores[table.places(exclude)] = -np.inf
        return best_items(scores, table.items, top_n=top_n, eligible=table.eligible(among))

    def refresh(self) -> bool:
        """Bring the model up to the state; only copying counts and the swap hold up ``apply``."""
        with self._refreshing:
            begun = self._begin()
            if begun is None:
                return False
            counts, coming = begun
            items, degrees, gram = counts.items, counts.degrees, counts.ordered()
            del begun, counts
            try:
                model = fit(
                    gram,
                    items=items,
                    degrees=degrees,
                    weighing=self._weighing,
                    generation=coming.generation,
                )
                self._install(model, coming)
            finally:
                with self._lock:
                    self._coming = None
        return True

    def _begin(self) -> tuple[Counts | Head, Refresh] | None:
        with self._lock:
            self._densify()
            generation = self._serving.model.generation if self._serving else None
            if generation == self._counted or not self._has_model:
                return None
            counts = self._state.counts() or Head.of(self._state, limit=self._head_limit)
            self._coming = Refresh(self._counted, self._builds, isinstance(counts, Counts))
            return counts, self._coming

    def _densify(self) -> None:
        """Count the pairs again once a catalogue has shrunk to the limit."""
        if self._state.may_be_dense and not self._state.is_dense:
            self._state = self._of(self._state.histories())
            self._state.hash_some(self._state.users.n_numbers)
            self._tables.clear()

    def _install(self, model: Ease, coming: Refresh) -> None:
        with self._lock:
            if coming.builds == self._builds:
                self._edition += 1
                self._losses = coming.losses
                self._serve(model, is_whole=coming.is_whole)

    def is_settled(self) -> bool:
        """Whether no derived model holds anything of pairs that were removed."""
        with self._lock:
            coming = self._coming
            if coming and (coming.losses.lost or coming.builds != self._builds):
                return False
            return not self._losses.lost

    def state_hash(self, *, in_full: bool = False) -> str:
        while not in_full:
            with self._lock:
                if self._state.hash_some(_HASHED_AT_ONCE):
                    return self._state.rows.digest()
            time.sleep(_REST_S)  # or whoever else waits for the lock would not get it
        with self._lock:
            self._densify()
            frozen = self._state.frozen()
        return frozen.digest()

    def is_hashed(self) -> bool:
        with self._lock:
            return self._state.hash_some(_HASHED_AT_ONCE)

    def hash_of(self, histories: Iterable[History]) -> str:
        return self._of(histories).frozen().digest()

    def edition(self) -> int:
        with self._lock:
            return self._edition
