"""Taking in interactions, and turning them into memories."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import structlog

from app.domain.erasure.request import ErasureOrder
from app.domain.errors import DependencyUnavailableError, FieldError, UnknownItemsError
from app.domain.models import (
    Interaction,
    Item,
    ItemId,
    Pseudonym,
    RecordId,
    RequestId,
)
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.memory import embedded_text, render_memory
from app.domain.recommendation.topic import mentions
from app.ports.clock import Clock
from app.ports.embedder import Embedder
from app.ports.memory_store import Memory, MemoryStore
from app.ports.persistence.records import NewInteraction
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.services.catalogue.topic_matching import TopicMatcher
from app.services.ingestion.outcomes import Batch, Event, IngestResult, Outcome
from app.services.ingestion.tombstone_filter import TombstoneFilter

_log = structlog.get_logger(__name__)


class UnknownItems(StrEnum):
    """What to do with an interaction whose item is not in the catalogue."""

    REFUSE = "refuse"
    STUB = "stub"


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """How interactions are taken in.

    Args:
        unknown_items: refuse the batch, or store an item whose title is its id.
        write_lease_s: seconds a memory write may take; an erasure waits for it that long.
        repair_batch: most leftovers handled in one sweep.
    """

    unknown_items: UnknownItems = UnknownItems.REFUSE
    write_lease_s: float = 60.0
    repair_batch: int = 500


Supersede = Callable[[UnitOfWork, Pseudonym, Collection[RecordId]], None]
"""Has what corrections replace scrubbed; called in their transaction, the user locked."""


class IngestService:
    """Stores interactions in SQL first, then their memories in the vector store.

    SQL is the truth: a write to the vector store that fails or dies is repaired by ``repair``.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        memory: MemoryStore,
        embedder: Embedder,
        topics: TopicMatcher,
        supersede: Supersede,
        identity: Identity,
        clock: Clock,
        config: IngestConfig,
    ) -> None:
        self._uows = uows
        self._memory = memory
        self._embedder = embedder
        self._topics = topics
        self._supersede = supersede
        self._identity = identity
        self._clock = clock
        self._config = config

    def record(
        self, interactions: Sequence[Interaction], *, skip_unknown: bool = False
    ) -> IngestResult:
        """Store interactions in one transaction. Idempotent by event key.

        An event that is known with another content is corrected: the new content takes its
        place, and the old one is scrubbed. Of several in one batch the last one stands.

        Of somebody who was erased everything is refused until an interaction of theirs brings a
        consent from after the erasure; then what occurred since the consent is accepted.

        Args:
            interactions: up to a batch's worth, any users.
            skip_unknown: leave out what is about unknown items, and take the rest.

        Raises:
            UnknownItemsError: an item is not in the catalogue (unless stubs are set).
        """
        unwanted = self._unwanted(interactions)
        now = self._clock.now()
        with self._uows.write() as uow:
            items = self._known_items(uow, interactions, at=now, skip_unknown=skip_unknown)
            gate = TombstoneFilter(self._identity, uow, interactions, at=now)
            batch = _admitted(interactions, items=items, gate=gate, unwanted=unwanted)
            inserted = self._store(uow, batch, at=now)
        said = [row for row in inserted if row.interaction.text is not None]
        if said:
            self._remember_or_defer(said, items, lease=self._lease(now))
        return IngestResult(batch.outcomes)

    def _store(self, uow: UnitOfWork, batch: Batch, *, at: datetime) -> list[NewInteraction]:
        """Insert what is new or corrected; return those rows.

        What is known is read first, the users being locked: most of what is sent twice is sent
        whole, and needs neither to be sealed nor to be tried.
        """
        former = uow.interactions.find(batch.newest.keys())
        doomed = batch.compare({row.record_id: row.interaction for row in former})
        for pseudonym, record_ids in sorted(doomed.items()):
            self._supersede(uow, pseudonym, record_ids)
        told = [NewInteraction(one, RecordId(secrets.token_hex(16))) for one in batch.to_store()]
        inserted = uow.interactions.add(told, pending_until=self._lease(at), received_at=at)
        batch.stored(row.interaction for row in inserted)
        # What is corrected above acts at once; what is only told anew need not.
        uow.changes.append({row.interaction.pseudonym for row in inserted}, at_once=False)
        return inserted

    def _lease(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._config.write_lease_s)

    def _unwanted(self, interactions: Sequence[Interaction]) -> set[Event]:
        """Return the interactions about topics that their users do not want remembered."""
        with self._uows.read() as uow:
            topics = uow.suppressions.of({one.pseudonym for one in interactions})
            mine = [one for one in interactions if one.pseudonym in topics]
            items = uow.items.get_many({one.item_id for one in mine if one.item_id})
        found: set[Event] = set()
        for pseudonym, unwanted in topics.items():
            theirs = [one for one in mine if one.pseudonym == pseudonym]
            known = [items[one.item_id] for one in theirs if one.item_id in items]
            about = self._topics.items_about_or_mentioning(unwanted, known)
            found |= {
                (pseudonym, one.event_key)
                for one in theirs
                if one.item_id in about
                or any(mentions(one.text or "", topic=topic.text) for topic in unwanted)
            }
        return found

    def _known_items(
        self,
        uow: UnitOfWork,
        interactions: Sequence[Interaction],
        *,
        at: datetime,
        skip_unknown: bool,
    ) -> dict[ItemId, Item]:
        wanted = {one.item_id for one in interactions if one.item_id is not None}
        # Held until the rows are there: whoever changes an item then sees that they are stale.
        items = uow.items.hold(wanted, is_shared=True)
        if self._config.unknown_items is UnknownItems.REFUSE:
            items = {item_id: item for item_id, item in items.items() if not item.is_stub}
        missing = wanted - set(items)
        if not missing:
            return items
        if self._config.unknown_items is UnknownItems.REFUSE:
            if skip_unknown:
                return items
            unknown = [index for index, one in enumerate(interactions) if one.item_id in missing]
            errors = [
                FieldError(f"interactions.{index}.item_id", "unknown item") for index in unknown
            ]
            raise UnknownItemsError(*errors, indices=frozenset(unknown))
        uow.items.add_stubs(missing, at=at)
        return items | uow.items.hold(missing, is_shared=True)

    def _remember_or_defer(
        self, rows: Sequence[NewInteraction], items: Mapping[ItemId, Item], *, lease: datetime
    ) -> None:
        try:
            self._remember(rows, items, lease=lease)
        except DependencyUnavailableError as error:
            _log.warning("memory_write_deferred", n_memories=len(rows), code=error.code)

    def _remember(
        self, rows: Sequence[NewInteraction], items: Mapping[ItemId, Item], *, lease: datetime
    ) -> None:
        """Write memories; take back those whose rows were erased meanwhile."""
        said = [row for row in rows if row.interaction.text is not None]
        pairs = [(row.interaction, _item_of(row.interaction, items)) for row in said]
        texts = [embedded_text(interaction, item) for interaction, item in pairs]
        distinct = sorted(set(texts))
        place = {text: index for index, text in enumerate(distinct)}
        vectors = self._embedder.embed(distinct)
        self._memory.add(
            [
                Memory(
                    record_id=row.record_id,
                    pseudonym=interaction.pseudonym,
                    document=render_memory(
                        kind=interaction.kind,
                        item=item,
                        value=interaction.value,
                        text=interaction.text,
                    ),
                    embedding=vectors[place[text]],
                )
                for row, (interaction, item), text in zip(said, pairs, texts, strict=True)
            ]
        )
        with self._uows.write() as uow:
            users = {row.interaction.pseudonym for row in rows}
            live = uow.interactions.mark_stored(
                [row.record_id for row in rows], lease=lease, of=users
            )
        self._take_back([row for row in rows if row.record_id not in live])

    def _take_back(self, rows: Sequence[NewInteraction]) -> None:
        """Erase memories that were written after their erasure was committed."""
        late: dict[Pseudonym, list[RecordId]] = defaultdict(list)
        for row in rows:
            late[row.interaction.pseudonym].append(row.record_id)
        for pseudonym, record_ids in late.items():
            self._memory.erase(
                ErasureOrder(
                    request_id=RequestId(""),
                    pseudonym=pseudonym,
                    is_whole_user=False,
                    record_ids=tuple(record_ids),
                )
            )

    def repair(self) -> int:
        """Finish writes to the vector store that failed or died; return how many."""
        now, limit = self._clock.now(), self._config.repair_batch
        # Without a lease of its own, an erasure would not wait for this writer, and the memory
        # would come back behind its scrub.
        lease = self._lease(now)
        with self._uows.write() as uow:
            rows = uow.interactions.lease_pending(expired_at=now, until=lease, limit=limit)
            about = {row.interaction.item_id for row in rows if row.interaction.item_id is not None}
            items = uow.items.hold(about, is_shared=True)
        if rows:
            self._remember(rows, items, lease=lease)
        return len(rows)


def _admitted(
    interactions: Sequence[Interaction],
    *,
    items: Collection[ItemId],
    gate: TombstoneFilter,
    unwanted: Collection[Event],
) -> Batch:
    """Return the batch with what may come in admitted and the rest refused."""
    batch = Batch(len(interactions))
    for at, one in enumerate(interactions):
        if one.item_id is not None and one.item_id not in items:
            batch.refuse(at, Outcome.UNKNOWN_ITEM)
        elif refusal := gate.refusal(one):
            batch.refuse(at, refusal)
        elif (one.pseudonym, one.event_key) in unwanted:
            batch.refuse(at, Outcome.UNWANTED_TOPIC)
        else:
            batch.admit(at, one if gate.answers(one) else replace(one, answered=None))
    return batch


def _item_of(interaction: Interaction, items: Mapping[ItemId, Item]) -> Item | None:
    """Return what an interaction is about; of an item that was deleted only its id is left."""
    if interaction.item_id is None:
        return None
    return items.get(interaction.item_id) or Item.stub(interaction.item_id)
