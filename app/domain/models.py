"""The words of the service as values: items, interactions, memories, subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType, Self

Pseudonym = NewType("Pseudonym", str)
"""64 hex digits, HMAC-SHA-256 of the caller's user id; the only user key that is stored."""
ItemId = NewType("ItemId", str)
"""The caller's id of a catalogue entry, 1 to 128 characters; not personal data."""
EventKey = NewType("EventKey", str)
"""64 hex digits, HMAC-SHA-256 of pseudonym and the caller's event id."""
RecordId = NewType("RecordId", str)
"""32 random hex digits; the id of a memory in the vector store."""
RequestId = NewType("RequestId", str)
"""32 random hex digits; the id of an erasure request."""

Scalar = str | int | float | bool
AttributeValue = Scalar | Sequence[Scalar]


class Kind(StrEnum):
    """What a user did with an item; a note needs no item."""

    RATING = "rating"
    VIEW = "view"
    PURCHASE = "purchase"
    LIKE = "like"
    DISLIKE = "dislike"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Item:
    """A catalogue entry. Not personal data.

    Args:
        item_id: the caller's id.
        title: 1 to 512 characters.
        description: up to 8,192 characters, may be empty.
        attributes: flat facts, such as ``{"genres": ["Action"], "year": 1977}``.
        available: whether it may be shown; what users did with it counts all the same.
        is_stub: the catalogue has no entry of it, and all that is known is that somebody did
            something with it; its title is its id.
    """

    item_id: ItemId
    title: str
    description: str = ""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    available: bool = True
    is_stub: bool = False

    @classmethod
    def stub(cls, item_id: ItemId) -> Self:
        """Return what stands for an item that the catalogue says nothing of."""
        return cls(item_id, title=item_id, is_stub=True)

    @property
    def is_shown(self) -> bool:
        """Whether it may stand in a list."""
        return self.available and not self.is_stub


@dataclass(frozen=True, slots=True)
class Consent:
    """An erased user's new consent (GDPR Art. 7): nothing of theirs is taken in without it.

    Args:
        at: when it was given, aware UTC; only one from after the erasure counts.
        source: the caller's code of where, such as ``cookie-banner``; nothing personal.
    """

    at: datetime
    source: str


@dataclass(frozen=True, slots=True)
class ReportedInteraction:
    """An interaction in the caller's words, before the user id becomes a pseudonym.

    Lives only at the edge (API, CLI); never logged or queued. Of the ids only the event's is
    stored, sealed under the user's key, so that an export can name the event.
    """

    event_id: str
    user: str
    kind: Kind
    occurred_at: datetime
    item_id: ItemId | None = None
    value: float | None = None
    text: str | None = None
    recommendation_id: str | None = field(default=None, repr=False)
    position: int | None = None
    renewed_consent: Consent | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """That an interaction answers a list: somebody did something with what they were shown.

    Args:
        list_id: 16 random hex digits that tell two lists apart.
        scenario: the list's preset; None without one.
        variant: what made the list, such as ``retrieval``, ``llm:attention`` or ``similar:both``.
        position: the item's place in the list, from 1.
        epoch: of the user when the list was made, 0 for a list that rests on nothing of theirs;
            decides whether the answer is taken, and is not stored.
    """

    list_id: str
    scenario: str | None
    variant: str
    position: int
    epoch: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Interaction:
    """(user, item, kind, value, occurred_at, optional text) under the pseudonym.

    Args:
        occurred_at: aware, UTC.
        value: e.g. a rating; None where the kind carries none.
        text: the user's own words, up to 8,192 characters; required for a note.
        event_id: what the caller calls the event; says nothing of what it is, so it tells no two
            apart. None where it is not known.
        answered: which list it answers; None for none.
        renewed_consent: what it brings of its user's new consent; no part of what happened.
    """

    pseudonym: Pseudonym
    event_key: EventKey
    kind: Kind
    occurred_at: datetime
    item_id: ItemId | None = None
    value: float | None = None
    text: str | None = None
    event_id: str | None = field(default=None, compare=False, repr=False)
    answered: Answered | None = None
    renewed_consent: Consent | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A stored interaction of one user, with the id of its memory in the vector store.

    Args:
        is_pending: the memory is not in the vector store yet.
    """

    record_id: RecordId
    event_key: EventKey
    kind: Kind
    occurred_at: datetime
    item_id: ItemId | None
    value: float | None
    text: str | None
    is_pending: bool

    @property
    def has_memory(self) -> bool:
        """Whether the vector store has a memory of it; it has of what is in the user's words."""
        return self.text is not None and not self.is_pending


class SubjectStatus(StrEnum):
    """What may be done with a user's data now."""

    ACTIVE = "active"
    ERASING = "erasing"


class Right(StrEnum):
    """What a user has exercised, and may take back, without being erased.

    RESTRICTION (GDPR Art. 18): the data are kept and nothing else is done with them. OBJECTION
    (Art. 21): no profile is made of the user, and nothing more is taken in.
    """

    RESTRICTION = "restriction"
    OBJECTION = "objection"


@dataclass(frozen=True, slots=True)
class Subject:
    """A user as the service knows one.

    Args:
        epoch: raised by every erasure request; answers computed under an older one are discarded.
        rights: those in force. Under any, the data count in nobody's recommendations.
        consent: with which the user came back after an erasure of all; None for who never left.
        hold: why nothing of the user may be erased for now (GDPR Art. 17(3)); None where it may.
    """

    pseudonym: Pseudonym
    status: SubjectStatus
    epoch: int
    rights: frozenset[Right] = frozenset()
    consent: Consent | None = None
    hold: str | None = None

    @property
    def is_personalised(self) -> bool:
        """Whether recommendations may use this user's data."""
        return self.status is SubjectStatus.ACTIVE and not self.rights


class Scored(NamedTuple):
    """An item with a score; larger is better, the scale is the producer's.

    Args:
        rank: where only some items were asked for, the item's place among all, from 1; equals
            share the first. Else 0: the place in the list is the place among all.
    """

    item_id: ItemId
    score: float
    rank: int = 0
