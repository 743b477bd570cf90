"""Repositories of users and interactions.

Every error of the database itself is DependencyUnavailableError.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.models import (
    Consent,
    EventKey,
    HistoryEntry,
    Interaction,
    ItemId,
    Kind,
    Pseudonym,
    RecordId,
    RequestId,
    Right,
    Subject,
    SubjectStatus,
)
from app.ports.persistence.evidence import Evidences

Owners = Collection[Pseudonym] | None
"""Whose rows some record ids are of; None where that is not known."""


class Subjects(Protocol):
    """Users."""

    def get(self, pseudonym: Pseudonym) -> Subject | None:
        """Return the subject, or None for someone never seen or erased."""

    def lock(self, pseudonym: Pseudonym) -> Subject | None:
        """Return the subject and keep others from changing it until the transaction ends.

        Others who ``lock`` the same user wait, also where there is no subject yet: an erasure
        and a first interaction take turns. Several users: ``lock_all``.
        """

    def lock_all(self, pseudonyms: Collection[Pseudonym]) -> dict[Pseudonym, Subject]:
        """Do as ``lock`` with each, in the order of pseudonyms; return the subjects there are."""

    def create(
        self, pseudonym: Pseudonym, *, epoch: int, consent: Consent | None = None
    ) -> Subject:
        """Insert an active subject; if a concurrent writer was first, return (and lock) theirs."""

    def raise_epoch(self, pseudonym: Pseudonym, *, status: SubjectStatus | None) -> int:
        """Add 1 to the epoch, set ``status`` unless None, return the new epoch.

        Raises:
            IntegrityError: there is no such subject.
        """

    def set_rights(self, pseudonym: Pseudonym, rights: Collection[Right]) -> None:
        """Set the rights in force, in place of those before.

        Raises:
            IntegrityError: there is no such subject.
        """

    def set_hold(self, pseudonym: Pseudonym, hold: str | None) -> None:
        """Set why nothing of the user may be erased, or None that it may.

        Raises:
            IntegrityError: there is no such subject.
        """

    def delete(self, pseudonym: Pseudonym) -> int:
        """Remove the row; return 0 or 1."""

    def known(self, pseudonyms: Collection[Pseudonym]) -> set[Pseudonym]:
        """Return those of the pseudonyms that have a row."""

    def active(self) -> set[Pseudonym]:
        """Return all users but those whom an erasure of all their data is removing."""

    def count(self) -> int:
        """Return how many subjects there are."""

    def mentions(self, pseudonym: Pseudonym) -> dict[str, int]:
        """Return how many rows name the user, for each table that can."""


@dataclass(frozen=True, slots=True)
class NewInteraction:
    """An interaction with the ids it is about to be stored under."""

    interaction: Interaction
    record_id: RecordId


@dataclass(frozen=True, slots=True)
class Trace:
    """What a row holds of a user, for a probe to look for.

    Args:
        text: the user's words in clear, None where there are none.
        stored_text: the same as the column holds it.
        stored_event_id: the caller's id of the event as the column holds it.
    """

    record_id: RecordId
    event_key: EventKey
    text: str | None
    stored_text: str | None
    stored_event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """The columns of a row that tombstones are compared with."""

    pseudonym: Pseudonym
    event_key: EventKey
    item_id: ItemId | None
    occurred_at: datetime


class Interactions(Evidences, Protocol):
    """Interactions. "Live" means not flagged by an erasure; all reads are of live rows only.

    Told whose rows are named (``of``), PostgreSQL looks into these users' partitions alone, and
    waits for nobody who has another one.
    """

    def add(
        self, rows: Sequence[NewInteraction], *, pending_until: datetime, received_at: datetime
    ) -> list[NewInteraction]:
        """Insert rows, skip those whose (pseudonym, event key) exists; return the inserted.

        Record ids are new. Pending is what is in the user's words, for it alone has a memory in
        the vector store.
        """

    def find(self, events: Collection[tuple[Pseudonym, EventKey]]) -> list[NewInteraction]:
        """Return the live rows of these events.

        Raises:
            KeyUnavailableError: there are words, and their key cannot be had.
        """

    def supersede(
        self, request_id: RequestId, record_ids: Collection[RecordId], *, of: Owners = None
    ) -> int:
        """Flag live rows that others take the place of; return how many.

        Their event keys are free at once: a row that is flagged here is known by its record id.
        """

    def mark_stored(
        self, record_ids: Sequence[RecordId], *, lease: datetime, of: Owners = None
    ) -> set[RecordId]:
        """Clear ``pending_until``, of flagged rows too; return the ids that are still live.

        The caller must erase the memories of the others: their erasure is under way. A row that
        is no longer pending until ``lease`` stays as it is: its memory is to be written again.
        """

    def mark_stale(self, item_ids: Collection[ItemId], *, at: datetime) -> int:
        """Have memories of these items written again, of flagged rows, too; return how many.

        Due ``at``, or as soon as whoever writes them now is over with it.
        """

    def pending_items(self, item_ids: Collection[ItemId]) -> set[ItemId]:
        """Return those of these items that live rows are about with memories yet to be written."""

    def users_of(self, item_ids: Collection[ItemId]) -> list[Pseudonym]:
        """Return whose rows are about these items, each once."""

    def event_ids(self, pseudonym: Pseudonym) -> dict[RecordId, str]:
        """Return what the caller calls the user's live events; nothing of rows that lack it.

        Raises:
            KeyUnavailableError: the user's key cannot be had.
        """

    def lease_pending(
        self, *, expired_at: datetime, until: datetime, limit: int
    ) -> list[NewInteraction]:
        """Take over live rows whose memory write was due before ``expired_at`` and is not done.

        They are pending until ``until`` from then on, so that an erasure waits for the new
        writer as it waits for the first.
        """

    def history(self, pseudonym: Pseudonym, *, with_texts: bool = True) -> list[HistoryEntry]:
        """Return the user's live rows, newest first, ties by record id.

        Args:
            pseudonym: whose.
            with_texts: False leaves the user's words out, which takes no key.

        Raises:
            KeyUnavailableError: there are words, and their key cannot be had.
        """

    def traces(self, pseudonym: Pseudonym, *, record_ids: Sequence[RecordId]) -> list[Trace]:
        """Return what these rows of a user hold, flagged or not; missing ids are left out."""

    def flag(
        self, request_id: RequestId, record_ids: Sequence[RecordId], *, of: Owners = None
    ) -> int:
        """Mark live rows as erased by a request, so that no read sees them; return how many."""

    def flagged(self, request_id: RequestId) -> list[RecordId]:
        """Return the record ids flagged by a request and still in the table."""

    def flagged_pending_until(self, request_id: RequestId) -> datetime | None:
        """Return the latest ``pending_until`` among rows flagged by a request, or None."""

    def pending_until_of(self, pseudonym: Pseudonym) -> datetime | None:
        """Return the latest ``pending_until`` among all rows of the user, flagged or not."""

    def delete_flagged(self, request_id: RequestId) -> int:
        """Delete the rows flagged by a request; return how many."""

    def delete_all_of(self, pseudonym: Pseudonym) -> int:
        """Delete all rows of the user, flagged by whatever request or not; return how many."""

    def unflag(self, request_id: RequestId) -> int:
        """Clear the flag of a rejected request from its rows; return how many."""

    def record_ids_of(self, pseudonym: Pseudonym) -> list[RecordId]:
        """Return all record ids of the user, flagged or not."""

    def expired(
        self, kind: Kind, *, before: datetime, limit: int
    ) -> list[tuple[Pseudonym, EventKey]]:
        """Return live interactions of a kind from before, but those that have to stay.

        What has to stay is of users under a legal hold, and of those who restricted their data.
        """

    def inactive(self, *, before: datetime, limit: int) -> list[Pseudonym]:
        """Return users whose newest live interaction is from before, with the same exceptions."""

    def outlines(self) -> Iterator[Outline]:
        """Yield all live rows in order of pseudonym, in constant memory."""

    def mark_unstored(self, stored: Collection[RecordId], *, due_at: datetime) -> int:
        """Mark all live rows with words but these as pending since ``due_at``; return how many.

        Their memories are then written again, as after an interrupted write.
        """

    def missing(self, record_ids: Collection[RecordId]) -> set[RecordId]:
        """Return those of the ids that no row has, flagged or not."""

    def count(self, pseudonym: Pseudonym | None = None) -> int:
        """Return how many live rows there are, of one user or of all."""
