"""What becomes of each interaction of a batch: new, known, corrected or refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from app.domain.models import EventKey, Interaction, Pseudonym, RecordId


class Outcome(StrEnum):
    """What became of one interaction; all but the first two are told with its place."""

    ACCEPTED = "accepted"
    UPDATED = "updated"
    """The event was known with another content, which is scrubbed."""
    DUPLICATE = "duplicate"
    ERASED = "erased"
    """An erasure covers it, or is taking the user's data away."""
    OBJECTION = "objection"
    UNWANTED_TOPIC = "unwanted_topic"
    UNKNOWN_ITEM = "unknown_item"
    INVALID = "invalid_input"


_STORED: Final = frozenset({Outcome.ACCEPTED, Outcome.UPDATED})


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of a batch, an outcome for each entry."""

    outcomes: Sequence[Outcome] = ()

    @property
    def accepted(self) -> int:
        """Return how many are stored as new."""
        return self.outcomes.count(Outcome.ACCEPTED)

    @property
    def updated(self) -> int:
        """Return how many took the place of another content of their event."""
        return self.outcomes.count(Outcome.UPDATED)

    @property
    def duplicate(self) -> int:
        """Return how many were there already."""
        return self.outcomes.count(Outcome.DUPLICATE)

    @property
    def refused(self) -> int:
        """Return how many were not taken in; the four numbers add up to the batch."""
        return len(self.outcomes) - self.accepted - self.updated - self.duplicate

    @property
    def errors(self) -> list[tuple[int, Outcome]]:
        """Return the 0-based places of what was not stored, and why."""
        return [(at, one) for at, one in enumerate(self.outcomes) if one not in _STORED]


Event = tuple[Pseudonym, EventKey]


class Batch:
    """A batch while it is decided on: of events the newest content, of entries what became."""

    def __init__(self, n_entries: int) -> None:
        self._admitted: dict[int, Interaction] = {}
        self._first: dict[Event, int] = {}
        self._held: set[Event] = set()
        self.newest: dict[Event, Interaction] = {}
        self.outcomes = [Outcome.ACCEPTED] * n_entries

    def refuse(self, at: int, why: Outcome) -> None:
        """Leave an entry out."""
        self.outcomes[at] = why

    def admit(self, at: int, one: Interaction) -> None:
        """Take an entry in as ``one``; one of the same event before it counts no more."""
        self._admitted[at] = one
        event = (one.pseudonym, one.event_key)
        before = self.newest.get(event)
        if before is None:
            self._first[event] = at
        elif _is_same(one, before):
            self.outcomes[at] = Outcome.DUPLICATE
            return
        else:
            self.outcomes[at] = Outcome.UPDATED
        self.newest[event] = one

    def compare(self, stored: Mapping[RecordId, Interaction]) -> dict[Pseudonym, list[RecordId]]:
        """Decide on events that have live rows; return those that corrections replace, by user."""
        doomed: dict[Pseudonym, list[RecordId]] = defaultdict(list)
        for record_id, former in stored.items():
            event = (former.pseudonym, former.event_key)
            at = self._first[event]
            is_same = _is_same(self._admitted[at], former)
            self.outcomes[at] = Outcome.DUPLICATE if is_same else Outcome.UPDATED
            if _is_same(self.newest[event], former):
                self._held.add(event)
            else:
                doomed[former.pseudonym].append(record_id)
        return doomed

    def to_store(self) -> list[Interaction]:
        """Return what is new, and what takes the places of former contents."""
        return [one for event, one in self.newest.items() if event not in self._held]

    def stored(self, inserted: Iterable[Interaction]) -> None:
        """Take note of what was inserted; an event that could not be has a row that is erased."""
        self._held.update((one.pseudonym, one.event_key) for one in inserted)
        for event in self.newest.keys() - self._held:
            self.outcomes[self._first[event]] = Outcome.ERASED


def _is_same(one: Interaction, former: Interaction) -> bool:
    """Whether an event says what it said before; not to say which list it answers is no change.

    For the list may rest on what was erased by the time that the event is sent again.
    """
    if one.answered is None and former.answered is not None:
        former = replace(former, answered=None)
    return one == former
