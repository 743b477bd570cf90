"""Pages of one list without a repeat, and the names of lists; nothing is kept of them here."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from app.domain.errors import ConflictError, FieldError, InvalidInputError
from app.domain.models import ItemId
from app.domain.privacy import tokens
from app.domain.privacy.pseudonyms import Identity
from app.domain.privacy.served_list import ServedList, recommendation_id
from app.ports.clock import Clock
from app.services.recommendation.answer import Recommendation
from app.services.recommendation.query import Boost, Pin, RecommendQuery
from app.services.recommendation.reranking import RankedBy

_VALID_S: Final = 1_800
_MAX_SERVED: Final = 1_000
_FIELDS: Final = tuple(one.name for one in fields(RecommendQuery))


@dataclass(frozen=True, slots=True)
class Page:
    """How far a caller is in a list.

    Args:
        served: items of the pages before.
        epoch: the user's on those pages; None on the first.
    """

    served: Sequence[ItemId] = ()
    epoch: int | None = None

    def require(self, epoch: int) -> None:
        """Check that the list is still the same user's of the same epoch.

        Raises:
            ConflictError: something of the user was erased since.
        """
        if self.epoch not in {None, epoch}:
            raise ConflictError("the cursor is of an earlier list; ask for the first page again")


class Cursors:
    """Writes and reads cursors: the items served so far; and writes what lists are named by.

    Stateless, so a forget has nothing to find here; it ends a cursor by the user's epoch.
    """

    def __init__(self, *, identity: Identity, clock: Clock) -> None:
        """Keep the service's keys and the time."""
        self._identity = identity
        self._clock = clock

    def read(self, query: RecommendQuery) -> Page:
        """Return where the query's cursor stands; the first page without one.

        Raises:
            InvalidInputError: it is none of this service's, or of another query.
            ConflictError: it is older than half an hour.
        """
        if query.cursor is None:
            return Page()
        try:
            value = tokens.read(query.cursor, key=self._identity.cursor_key())
        except ValueError:
            raise InvalidInputError(
                FieldError("cursor", "is none that this service gave")
            ) from None
        digest, epoch, until, served = value
        if digest != self._digest(query):
            raise InvalidInputError(FieldError("cursor", "is of another request"))
        if until < self._clock.now().timestamp():
            raise ConflictError("the cursor has expired; ask for the first page again")
        return Page([ItemId(one) for one in served], epoch)

    def next(
        self, query: RecommendQuery, page: Page, item_ids: Sequence[ItemId], *, epoch: int
    ) -> str | None:
        """Return the cursor after these items; None at the end of the list, or after a thousand."""
        served = [*page.served, *item_ids]
        if len(item_ids) < query.n or len(served) > _MAX_SERVED:
            return None
        until = int(self._clock.now().timestamp()) + _VALID_S
        value = [self._digest(query), epoch, until, served]
        return tokens.written(value, key=self._identity.cursor_key())

    def name(self, query: RecommendQuery, answer: Recommendation) -> str:
        """Return the id that interactions with items of an answer may give back."""
        ranked_by = answer.provenance.ranked_by
        is_by_llm = ranked_by is RankedBy.LLM
        served = ServedList(
            owner=query.pseudonym,
            epoch=answer.epoch,
            scenario=query.scenario,
            variant=f"{ranked_by}:{query.strategy}" if is_by_llm else ranked_by.value,
            n_items=len(answer.items),
            given_at=self._clock.now(),
        )
        return recommendation_id(served, self._identity)

    def _digest(self, query: RecommendQuery) -> str:
        """Return what tells a request for the next page from another request; ``n`` may differ."""
        plain = {name: getattr(query, name) for name in _FIELDS} | {"cursor": None, "n": 1}
        canonical = _CANONICAL.encode(plain)
        key = self._identity.cursor_key()
        return hmac.new(key, canonical.encode(), hashlib.sha256).hexdigest()[:32]


def _plain(value: Any) -> object:  # noqa: ANN401 - whatever a query holds
    return asdict(value) if isinstance(value, Boost | Pin) else sorted(value)


_CANONICAL: Final = json.JSONEncoder(sort_keys=True, default=_plain)
