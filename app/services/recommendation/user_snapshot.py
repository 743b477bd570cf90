"""What may be used of a user, or of the visitor of a session, for one answer."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self

from app.domain.models import EventKey, HistoryEntry, ItemId, Kind, RecordId, Subject
from app.domain.recommendation.opinion import OpinionRule, Stance
from app.domain.recommendation.sense import spoken_against
from app.domain.recommendation.topic import MAX_TOPICS, Topic

NEWEST: Final = 64
"""Memories that make the profile and compete for the prompt; of one item one."""

_OF_THE_SESSION: Final = RecordId("")
"""Stands for the record of what a visitor touched in this session: there is none."""
_MOMENT: Final = timedelta(microseconds=1)


class Recalled(NamedTuple):
    """A memory as far as an answer needs it.

    Args:
        text: the user's own words.
        record_id: where its own vector is stored; None where there is none.
    """

    item_id: ItemId | None
    kind: Kind
    value: float | None
    text: str | None = None
    record_id: RecordId | None = None

    @property
    def spoken_against(self) -> str | None:
        """What a note about no item speaks against; None where it is none, or speaks for."""
        return spoken_against(self.text) if self.text and self.item_id is None else None


@dataclass(frozen=True, slots=True)
class UserSnapshot:
    """What one snapshot says of somebody.

    Args:
        subject: None where nothing is known of them, or may be used.
        newest: memories, newest first; of the session, if any, then what is stored of the user.
        touched: the items that they have had to do with, by kind.
        liked, disliked: the items that all this speaks for, and against, touched last first.
        topics: what they do not want.
        last_s: seconds since 1970 of the last interaction; NaN without one.
        is_personal: whether a list made from it rests on what is stored of a user.
        has_words: whether anything of it is in the user's own words.
        kept_as: names what it was kept as, if it was.
    """

    subject: Subject | None = None
    newest: Sequence[Recalled] = ()
    touched: Mapping[Kind, Collection[ItemId]] = field(default_factory=dict)
    liked: Sequence[ItemId] = ()
    disliked: Sequence[ItemId] = ()
    topics: Sequence[Topic] = ()
    last_s: float = math.nan
    is_personal: bool = False
    has_words: bool = False
    kept_as: object = None

    @classmethod
    def of(
        cls,
        history: Sequence[HistoryEntry],
        *,
        opinions: OpinionRule,
        subject: Subject | None = None,
        topics: Sequence[Topic] = (),
    ) -> Self:
        """Return what a history says, newest first; without a subject it is of a session alone."""
        stances = opinions.opinions(history)
        touched: dict[Kind, list[ItemId]] = {}
        for one in history:
            if one.item_id is not None:
                touched.setdefault(one.kind, []).append(one.item_id)
        return cls(
            subject=subject,
            newest=_newest(history),
            touched=touched,
            liked=[one for one, stance in stances.items() if stance is Stance.FOR],
            disliked=[one for one, stance in stances.items() if stance is Stance.AGAINST],
            topics=topics,
            last_s=history[0].occurred_at.timestamp() if history else math.nan,
            is_personal=subject is not None and any(one.record_id for one in history),
            has_words=any(one.text is not None for one in history),
        )

    @property
    def unwanted(self) -> list[Topic]:
        """What they do not want to be shown: the topics, and what their notes speak against."""
        spoken = [text for one in self.newest if (text := one.spoken_against)]
        return [*self.topics, *(Topic("", text) for text in spoken[:MAX_TOPICS])]

    @property
    def epoch(self) -> int:
        """The user's epoch; 0 where the list rests on no user."""
        return self.subject.epoch if self.subject is not None and self.is_personal else 0


def _newest(history: Sequence[HistoryEntry]) -> list[Recalled]:
    """Return the newest memories, an item's once: who reloads a page remembers no more of it.

    Of several without words what is more than a view stands for the item. What somebody said is
    a memory of its own.
    """
    newest: dict[str, HistoryEntry] = {}
    for entry in history:
        of_item = None if entry.text else entry.item_id
        key = f"record {entry.record_id}" if of_item is None else f"item {of_item}"
        before = newest.get(key)
        if before is None:
            if len(newest) < NEWEST:
                newest[key] = entry
        elif before.kind is Kind.VIEW and entry.kind is not Kind.VIEW:
            newest[key] = entry
    return [_recalled(one) for one in newest.values()]


def _recalled(one: HistoryEntry) -> Recalled:
    stored = one.record_id if one.has_memory else None
    return Recalled(one.item_id, one.kind, one.value, one.text, stored)


def session_history(item_ids: Sequence[ItemId], *, now: datetime) -> list[HistoryEntry]:
    """Return what a visitor touched in this session, newest first, as a history."""
    return [
        HistoryEntry(
            record_id=_OF_THE_SESSION,
            event_key=EventKey(""),
            kind=Kind.VIEW,
            occurred_at=now - place * _MOMENT,
            item_id=item_id,
            value=None,
            text=None,
            is_pending=False,
        )
        for place, item_id in enumerate(dict.fromkeys(item_ids))
    ]
