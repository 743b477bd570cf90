"""The ordered change feed and the processes that follow it.

Every error of the database itself is DependencyUnavailableError.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from app.domain.models import Pseudonym, Subject


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides whether what a process holds is up to date.

    Args:
        head: of the change feed.
        catalogue: its version.
        subject: the user that was asked for; None where nothing is known of them.
    """

    head: int
    catalogue: int
    subject: Subject | None = None


class Change(NamedTuple):
    """An entry of the feed.

    Args:
        seq: its number, from 1 on.
        pseudonym: whose interactions changed.
        at_once: whether what the user has lost by it must leave every answer at once; else the
            user only wrote, and a model may say what it said until it is computed anew.
    """

    seq: int
    pseudonym: Pseudonym
    at_once: bool


class Changes(Protocol):
    """The ordered change feed that neighbours follow."""

    def standing(self, pseudonym: Pseudonym | None) -> Standing:
        """Return how the feed, the catalogue and a user stand, in one statement."""

    def append(self, pseudonyms: Collection[Pseudonym], *, at_once: bool = True) -> int:
        """Append one entry per user; return the highest number given.

        Numbers are allocated under a lock that lasts to the end of the transaction, so that
        a reader who saw n will never later see a number below n appear. Append late: all other
        writers of the feed wait from here to the commit. No user, no entry: the head is returned.

        Args:
            pseudonyms: whose interactions changed.
            at_once: False only where nothing was forgotten, see ``Change``.
        """

    def since(self, seq: int, *, limit: int) -> list[Change]:
        """Return entries with a number above ``seq``, in order."""

    def head(self) -> int:
        """Return the highest number ever given, 0 at first."""

    def tail(self) -> int:
        """Return the highest number pruned, 0 at first; a follower below it must rebuild."""

    def prune(self, *, upto: int) -> int:
        """Remove entries with a number <= ``upto`` and <= the head; return how many."""


@dataclass(frozen=True, slots=True)
class LiveProcess:
    """A process that serves from the change feed.

    Args:
        state_hash: 64 hex digits, of the state it acknowledged; None if it reported none.
    """

    process_id: str
    acked_seq: int
    lease_until: datetime
    state_hash: str | None = None


class Processes(Protocol):
    """Processes that hold neighbours in memory."""

    def beat(
        self,
        process_id: str,
        *,
        acked_seq: int,
        lease_until: datetime,
        state_hash: str | None = None,
    ) -> None:
        """Insert or update the process's lease and acknowledged number, which may go back."""

    def live(self, *, now: datetime) -> list[LiveProcess]:
        """Return processes whose lease is valid."""

    def note_worker(self, *, at: datetime) -> None:
        """Note that a worker did a task; an earlier time than the noted one changes nothing."""

    def worker_seen_at(self) -> datetime | None:
        """Return when a worker last did a task, to the millisecond; None for never."""

    def remove(self, process_id: str) -> None:
        """Remove a process that shuts down."""

    def remove_dead(self, *, before: datetime) -> int:
        """Remove processes whose lease ended before then."""
