"""Resolves a scope to a user's memories, also as a preview before anything is erased."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.domain.erasure.scope import (
    AllScope,
    EventsScope,
    ItemsScope,
    PeriodScope,
    Scope,
    TopicScope,
)
from app.domain.models import HistoryEntry, Item, Pseudonym, RecordId
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.catalogue.topic_matching import Match, TopicMatcher


@dataclass(frozen=True, slots=True)
class PreviewEntry:
    """A memory that an erasure would take.

    Args:
        item: None for a note.
        match: how it was found to be about the topic; None for other scopes.
    """

    entry: HistoryEntry
    item: Item | None
    match: Match | None


class ScopeResolver:
    """Resolves scopes against live memories; changes nothing."""

    def __init__(self, *, uows: UnitsOfWork, topics: TopicMatcher) -> None:
        self._uows = uows
        self._topics = topics

    def about(self, pseudonym: Pseudonym, scope: Scope) -> dict[RecordId, Match]:
        """Return the memories that a topic scope is about; none for other scopes.

        Raises:
            DependencyUnavailableError: the vector store does not answer, so that what is about
                the topic cannot be told; nothing was recorded.
        """
        if not isinstance(scope, TopicScope):
            return {}
        with self._uows.read() as uow:
            history = uow.interactions.history(pseudonym)
            items = uow.items.get_many({one.item_id for one in history if one.item_id})
        return self._topics.memories_about(
            scope.text, pseudonym=pseudonym, history=history, items=items
        )

    def preview(self, pseudonym: Pseudonym, scope: Scope) -> list[PreviewEntry]:
        """Return what an erasure of this scope would take now, newest first."""
        about = self.about(pseudonym, scope)
        with self._uows.read() as uow:
            history = uow.interactions.history(pseudonym)
            doomed = entries_in_scope(scope, history, about=about)
            items = uow.items.get_many({one.item_id for one in doomed if one.item_id})
        return [
            PreviewEntry(
                entry=entry,
                item=items.get(entry.item_id) if entry.item_id else None,
                match=about.get(entry.record_id),
            )
            for entry in doomed
        ]


def entries_in_scope(
    scope: Scope, history: Sequence[HistoryEntry], *, about: Collection[RecordId]
) -> list[HistoryEntry]:
    """Return the entries of a live history that a scope covers.

    Args:
        scope: what is to go.
        history: live entries of one user.
        about: records that a topic scope was resolved to.
    """
    match scope:
        case AllScope():
            return list(history)
        case ItemsScope(item_ids=item_ids):
            wanted = set(item_ids)
            return [entry for entry in history if entry.item_id in wanted]
        case EventsScope(event_keys=event_keys):
            keys = set(event_keys)
            return [entry for entry in history if entry.event_key in keys]
        case PeriodScope(start=start, end=end):
            return [entry for entry in history if start <= entry.occurred_at < end]
        case TopicScope():
            return [entry for entry in history if entry.record_id in about]
