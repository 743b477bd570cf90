"""The topics a user does not want: listing them, and lifting one."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.errors import NotFoundError
from app.domain.models import Pseudonym
from app.domain.recommendation.topic import Topic
from app.ports.persistence.unit_of_work import UnitsOfWork


class SuppressionService:
    """Answers ``/users/{user}/suppressions``."""

    def __init__(self, *, uows: UnitsOfWork) -> None:
        """Keep the collaborators."""
        self._uows = uows

    def list(self, pseudonym: Pseudonym) -> Sequence[Topic]:
        """Return the topics the user does not want, by id."""
        with self._uows.read() as uow:
            return uow.suppressions.of([pseudonym]).get(pseudonym, [])

    def lift(self, pseudonym: Pseudonym, *, topic_id: str) -> None:
        """Let a topic be remembered and recommended again; what was erased stays erased.

        Raises:
            NotFoundError: the user has no such topic.
        """
        with self._uows.write() as uow:
            if not uow.suppressions.remove(pseudonym, topic_id=topic_id):
                raise NotFoundError("no suppressed topic has this id")
