"""What interactions say of items and lists.

Every error of the database itself is DependencyUnavailableError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.models import Answered, ItemId, Kind, Pseudonym, RecordId
from app.domain.recommendation.everybody import Rows
from app.domain.recommendation.opinion import Evidence, OpinionRule


@dataclass(frozen=True, slots=True)
class AnswerCount:
    """How often lists of one kind were answered.

    Args:
        scenario: of the lists; None for those without one.
        variant: what made them.
        lists: lists that were answered at all.
        by_kind: interactions with an item of a list, by what the user did.
        by_position: the same, by the item's place in its list.
    """

    scenario: str | None
    variant: str
    lists: int
    by_kind: Mapping[Kind, int]
    by_position: Mapping[int, int]


class Evidences(Protocol):
    """Reads of live rows, see ``Interactions``."""

    def evidence(self, pseudonyms: Sequence[Pseudonym]) -> dict[Pseudonym, list[Evidence]]:
        """Return what each user's live rows say of items, notes aside, in no order.

        Every asked pseudonym is a key. A user with none has an empty list, and so has one with a
        right in force.
        """

    def all_rows(self) -> Iterator[Rows]:
        """Yield the same of all users without a right in force, in columns, in no order.

        As of this transaction, in which nothing else is asked meanwhile. Beside what is taken of
        it, it needs a few MB.
        """

    def popularity(self, *, since: datetime, rule: OpinionRule) -> dict[ItemId, int]:
        """Return how many users touched each item from a moment on, and are for it.

        The opinion of an item that decides for a user decides here, too. A rating speaks for the
        item from ``rule.least_rating`` on: not beside the user's others, which would take all of
        them. Counted from the rows each time, so nothing of an erased user is in it.
        """

    def answered(self, pseudonym: Pseudonym) -> dict[RecordId, Answered]:
        """Return which lists the user's live events answer; nothing of those that answer none."""

    def answers(self) -> list[AnswerCount]:
        """Return how often lists were answered, by scenario and variant.

        Counted from the live rows of users without a right in force each time, so that there is
        nothing beside the rows that an erasure would have to find.
        """
