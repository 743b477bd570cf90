"""The two repositories that hold users' own words, storing them encrypted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from app.adapters.db.records import SqlInteractions
from app.adapters.db.suppressions import SqlSuppressions
from app.domain.errors import KeyMissingError
from app.domain.models import EventKey, HistoryEntry, Pseudonym, RecordId, RequestId
from app.domain.recommendation.topic import Topic
from app.ports.cipher import Cipher
from app.ports.persistence.records import NewInteraction, Trace

_TEXT: Final = "text"
_EVENT: Final = "event"
_TOPIC: Final = "topic"
Texts = dict[str, str]


@dataclass(frozen=True, slots=True)
class EncryptedInteractions(SqlInteractions):
    """Interactions whose text is ciphertext. Every user with a row here has a key in the vault."""

    cipher: Cipher

    def add(
        self, rows: Sequence[NewInteraction], *, pending_until: datetime, received_at: datetime
    ) -> list[NewInteraction]:
        """The rows returned are in clear, as they were given."""
        self.cipher.prepare({row.interaction.pseudonym for row in rows})
        sealed = self._translated(rows, to_clear=False)
        inserted = SqlInteractions.add(
            self, sealed, pending_until=pending_until, received_at=received_at
        )
        ids = {row.record_id for row in inserted}
        return [row for row in rows if row.record_id in ids]

    def find(self, events: Collection[tuple[Pseudonym, EventKey]]) -> list[NewInteraction]:
        return self._translated(SqlInteractions.find(self, events), to_clear=True)

    def lease_pending(
        self, *, expired_at: datetime, until: datetime, limit: int
    ) -> list[NewInteraction]:
        rows = SqlInteractions.lease_pending(self, expired_at=expired_at, until=until, limit=limit)
        return self._translated(rows, to_clear=True)

    def history(self, pseudonym: Pseudonym, *, with_texts: bool = True) -> list[HistoryEntry]:
        """Takes no key for a user without texts, as most are."""
        entries = SqlInteractions.history(self, pseudonym, with_texts=with_texts)
        sealed: Texts = {one.record_id: one.text for one in entries if one.text is not None}
        if not sealed:
            return entries
        texts = self.cipher.open(sealed, pseudonym=pseudonym, purpose=_TEXT)
        return [
            replace(one, text=texts[one.record_id]) if one.record_id in texts else one
            for one in entries
        ]

    def traces(self, pseudonym: Pseudonym, *, record_ids: Sequence[RecordId]) -> list[Trace]:
        found = SqlInteractions.traces(self, pseudonym, record_ids=record_ids)
        sealed: Texts = {one.record_id: one.text for one in found if one.text is not None}
        if not sealed:
            return found
        try:
            texts = self.cipher.open(sealed, pseudonym=pseudonym, purpose=_TEXT)
        except KeyMissingError:
            texts = {}  # nobody knows the words any more; an erasure must not wait for them
        return [replace(one, text=texts.get(one.record_id)) for one in found]

    def event_ids(self, pseudonym: Pseudonym) -> dict[RecordId, str]:
        sealed: Texts = dict(SqlInteractions.event_ids(self, pseudonym).items())
        if not sealed:
            return {}
        opened = self.cipher.open(sealed, pseudonym=pseudonym, purpose=_EVENT)
        return {RecordId(record_id): event_id for record_id, event_id in opened.items()}

    def event_ids_to_store(self, rows: Sequence[NewInteraction]) -> Texts:
        """Return them sealed; see the base."""
        given: dict[Pseudonym, Texts] = defaultdict(dict)
        for record_id, event_id, pseudonym in _named(rows):
            given[pseudonym][record_id] = event_id
        return self.cipher.seal_each(given, purpose=_EVENT) if given else {}

    def _translated(
        self, rows: Sequence[NewInteraction], *, to_clear: bool
    ) -> list[NewInteraction]:
        """Return the rows with every text decrypted, or encrypted."""
        translate = self.cipher.open if to_clear else self.cipher.seal
        given: dict[Pseudonym, Texts] = defaultdict(dict)
        for row in rows:
            if row.interaction.text is not None:
                given[row.interaction.pseudonym][row.record_id] = row.interaction.text
        texts: Texts = {}
        for pseudonym, theirs in given.items():
            texts |= translate(theirs, pseudonym=pseudonym, purpose=_TEXT)
        # Most rows have no text, and a copy of each would cost as much as its insert.
        return [
            replace(row, interaction=replace(row.interaction, text=texts[row.record_id]))
            if row.record_id in texts
            else row
            for row in rows
        ]


def _named(rows: Sequence[NewInteraction]) -> Iterator[tuple[RecordId, str, Pseudonym]]:
    for row in rows:
        if (event_id := row.interaction.event_id) is not None:
            yield row.record_id, event_id, row.interaction.pseudonym


@dataclass(frozen=True, slots=True)
class EncryptedSuppressions(SqlSuppressions):
    """Suppressed topics whose words are ciphertext."""

    cipher: Cipher

    def add(
        self, pseudonym: Pseudonym, topic: Topic, *, request_id: RequestId, at: datetime
    ) -> None:
        self.cipher.prepare([pseudonym])
        texts = {topic.topic_id: topic.text}
        sealed = self.cipher.seal(texts, pseudonym=pseudonym, purpose=_TOPIC)
        topic = replace(topic, text=sealed[topic.topic_id])
        SqlSuppressions.add(self, pseudonym, topic, request_id=request_id, at=at)

    def of(self, pseudonyms: Collection[Pseudonym]) -> dict[Pseudonym, list[Topic]]:
        return {
            pseudonym: self._opened(topics, pseudonym=pseudonym)
            for pseudonym, topics in SqlSuppressions.of(self, pseudonyms).items()
        }

    def _opened(self, topics: Sequence[Topic], *, pseudonym: Pseudonym) -> list[Topic]:
        sealed = {topic.topic_id: topic.text for topic in topics}
        texts = self.cipher.open(sealed, pseudonym=pseudonym, purpose=_TOPIC)
        return [replace(topic, text=texts[topic.topic_id]) for topic in topics]
