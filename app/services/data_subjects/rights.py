"""What users may ask for besides erasure: their data, a restriction, an objection, topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.domain.audit.entries import Leaf, LeafKind
from app.domain.erasure.request import ErasureRequest
from app.domain.errors import ConflictError, NotFoundError
from app.domain.models import (
    Answered,
    HistoryEntry,
    Item,
    ItemId,
    Pseudonym,
    RecordId,
    Right,
    Subject,
    SubjectStatus,
)
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.topic import Topic
from app.ports.clock import Clock
from app.ports.memory_store import MemoryStore
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.services.concurrency import InFlightAnswers


@dataclass(frozen=True, slots=True)
class Export:
    """Everything that is held of a user.

    Args:
        subject: None for somebody who is not known.
        history: newest first; ``items`` are the catalogue's words for what it names.
        embeddings: by record id; a memory that is not stored yet has none.
        event_ids: by record id, what the caller calls the event; of events from before these
            were kept, nothing.
        answered: by record id, the list that the event answers, where it does.
        requests: erasure requests that are not over.
    """

    subject: Subject | None
    history: Sequence[HistoryEntry]
    items: Mapping[ItemId, Item]
    embeddings: Mapping[RecordId, NDArray[np.float32]]
    event_ids: Mapping[RecordId, str]
    answered: Mapping[RecordId, Answered]
    topics: Sequence[Topic]
    requests: Sequence[ErasureRequest]


class RightsService:
    """Answers ``/users/{user}/export``, ``…/restriction``, ``…/objection``, ``…/suppressions``.

    Every exercise is a leaf that says which right, and is tied to nobody.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        memory: MemoryStore,
        in_flight: InFlightAnswers,
        identity: Identity,
        clock: Clock,
    ) -> None:
        self._uows = uows
        self._memory = memory
        self._in_flight = in_flight
        self._identity = identity
        self._clock = clock

    def in_force(self, pseudonym: Pseudonym) -> frozenset[Right]:
        """Return the rights that a user has in force."""
        with self._uows.read() as uow:
            subject = uow.subjects.get(pseudonym)
        return subject.rights if subject else frozenset()

    def exercise(self, pseudonym: Pseudonym, right: Right) -> frozenset[Right]:
        """Put a right in force, and return all that are. A repeat changes nothing.

        When this returns, no recommendation that starts uses the user's data, for them or for
        others, and none that is under way leaves with them. Somebody unknown is noted, so that
        the right holds for what comes.

        Raises:
            ConflictError: everything of the user was erased, or is being.
        """
        with self._uows.write() as uow:
            subject = uow.subjects.lock(pseudonym) or arrive(
                uow, pseudonym, identity=self._identity
            )
            if right in subject.rights:
                return subject.rights
            rights = self._set(uow, subject, subject.rights | {right}, right=right, is_on=True)
        self._in_flight.wait(pseudonym)
        return rights

    def lift(self, pseudonym: Pseudonym, right: Right) -> frozenset[Right]:
        """Take a right back, and return those that are still in force.

        Raises:
            ConflictError: everything of the user is being erased.
        """
        with self._uows.write() as uow:
            subject = uow.subjects.lock(pseudonym)
            if subject is None or right not in subject.rights:
                return subject.rights if subject else frozenset()
            return self._set(uow, subject, subject.rights - {right}, right=right, is_on=False)

    def suppressed_topics(self, pseudonym: Pseudonym) -> Sequence[Topic]:
        """Return the topics the user does not want, by id."""
        with self._uows.read() as uow:
            return uow.suppressions.of([pseudonym]).get(pseudonym, [])

    def lift_suppression(self, pseudonym: Pseudonym, *, topic_id: str) -> None:
        """Let a topic be remembered and recommended again; what was erased stays erased.

        Raises:
            NotFoundError: the user has no such topic.
        """
        with self._uows.write() as uow:
            if not uow.suppressions.remove(pseudonym, topic_id=topic_id):
                raise NotFoundError("no suppressed topic has this id")

    def _set(
        self,
        uow: UnitOfWork,
        subject: Subject,
        rights: frozenset[Right],
        *,
        right: Right,
        is_on: bool,
    ) -> frozenset[Right]:
        if subject.status is SubjectStatus.ERASING:
            raise ConflictError("everything of this user is being erased")
        uow.subjects.set_rights(subject.pseudonym, rights)
        uow.changes.append({subject.pseudonym})
        uow.audit.append([self._leaf(right.value, in_force=is_on)])
        return rights

    def _leaf(self, right: str, *, in_force: bool | None = None) -> Leaf:
        facts = {"right": right} | ({} if in_force is None else {"in_force": in_force})
        return Leaf(LeafKind.RIGHT_EXERCISED, self._clock.now(), None, facts)

    def export(self, pseudonym: Pseudonym) -> Export:
        """Return everything that is held of a user; that it was asked for is a leaf.

        Raises:
            KeyUnavailableError: the user's words cannot be read now.
            DependencyUnavailableError: a store does not answer.
        """
        with self._uows.write() as uow:
            uow.audit.append([self._leaf("access")])
        with self._uows.read() as uow:
            history = uow.interactions.history(pseudonym)
            export = Export(
                subject=uow.subjects.get(pseudonym),
                history=history,
                items=uow.items.get_many({one.item_id for one in history if one.item_id}),
                embeddings={},
                event_ids=uow.interactions.event_ids(pseudonym),
                answered=uow.interactions.answered(pseudonym),
                topics=uow.suppressions.of([pseudonym]).get(pseudonym, []),
                requests=uow.requests.unfinished_of(pseudonym),
            )
        stored = [one.record_id for one in history if one.has_memory]
        return replace(export, embeddings=self._memory.vectors(pseudonym, stored))


def arrive(uow: UnitOfWork, pseudonym: Pseudonym, *, identity: Identity) -> Subject:
    """Note somebody unknown, so that what is decided about them holds for what comes.

    Raises:
        ConflictError: everything of theirs was erased; a row would let them in.
    """
    if uow.tombstones.find([identity.tombstone_all(pseudonym)]):
        raise ConflictError("everything of this user was erased, and nothing is taken in")
    return uow.subjects.create(pseudonym, epoch=1)
