"""Erasure requests as people look for them: due next, by number, by month, by person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.domain.erasure.request import ErasureRequest
from app.domain.erasure.scope import CORRECTION
from app.domain.models import Pseudonym, Subject
from app.domain.recommendation.topic import Topic
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitsOfWork

_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Person:
    """What is decided about a user; ``subject`` is None for somebody unknown."""

    subject: Subject | None
    topics: Sequence[Topic]
    requests: Sequence[ErasureRequest]


class RequestLists:
    """Reads for the console."""

    def __init__(self, *, uows: UnitsOfWork, clock: Clock) -> None:
        self._uows = uows
        self._clock = clock

    def due_next(self, *, is_overdue: bool = False, limit: int) -> Sequence[ErasureRequest]:
        """Return requests that are not over, the one due first before the others."""
        with self._uows.read() as uow:
            before = self._clock.now() if is_overdue else None
            return uow.requests.due_next(before=before, limit=limit)

    def matching(self, text: str, *, limit: int) -> Sequence[ErasureRequest]:
        """Return requests by the beginning of their id, or by the caller's number."""
        with self._uows.read() as uow:
            return uow.requests.matching(text, limit=limit)

    def received(self, *, start: datetime, end: datetime) -> Sequence[ErasureRequest]:
        """Return all requests of people received in a time, oldest first."""
        found: list[ErasureRequest] = []
        before = end
        with self._uows.read() as uow:
            while page := uow.requests.page(state=None, before=before, limit=_PAGE):
                found += [one for one in page if one.received_at >= start]
                before = page[-1].received_at
                if before < start:
                    break
        return [one for one in reversed(found) if one.scope_kind != CORRECTION]

    def person(self, pseudonym: Pseudonym) -> Person:
        """Return a user's rights, topics and requests that are not over."""
        with self._uows.read() as uow:
            return Person(
                uow.subjects.get(pseudonym),
                uow.suppressions.of([pseudonym]).get(pseudonym, []),
                uow.requests.unfinished_of(pseudonym),
            )
