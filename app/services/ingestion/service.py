"""Taking in interactions, and turning them into memories."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog

from app.domain.erasure.request import ErasureOrder
from app.domain.errors import DependencyUnavailableError, FieldError, UnknownItemsError
from app.domain.models import (
    EventKey,
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


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of a batch; the three add up to its length.

    Args:
        accepted: stored now.
        duplicate: the event id was known.
        refused: a tombstone covers it, or the user is being erased.
    """

    accepted: int
    duplicate: int
    refused: int


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
        identity: Identity,
        clock: Clock,
        config: IngestConfig,
    ) -> None:
        self._uows = uows
        self._memory = memory
        self._embedder = embedder
        self._topics = topics
        self._identity = identity
        self._clock = clock
        self._config = config

    def record(
        self, interactions: Sequence[Interaction], *, renewed_consent: bool = False
    ) -> IngestResult:
        """Store interactions, all or none. Idempotent by event key.

        Args:
            interactions: up to a batch's worth, any users.
            renewed_consent: whether erased users came back; without it everything of theirs
                is refused, with it what occurred after the erasure is accepted.

        Raises:
            UnknownItemsError: an item is not in the catalogue (unless stubs are set).
        """
        unwanted = self._unwanted(interactions)
        now = self._clock.now()
        with self._uows.write() as uow:
            items = self._known_items(uow, interactions, at=now)
            gate = TombstoneFilter(
                self._identity, uow, interactions, renewed_consent=renewed_consent
            )
            allowed = [
                one
                for one in interactions
                if gate.admits(one) and (one.pseudonym, one.event_key) not in unwanted
            ]
            rows = [NewInteraction(one, RecordId(secrets.token_hex(16))) for one in allowed]
            lease = now + timedelta(seconds=self._config.write_lease_s)
            inserted = uow.interactions.add(rows, pending_until=lease, received_at=now)
            uow.changes.append({row.interaction.pseudonym for row in inserted})
        if inserted:
            self._remember_or_defer(inserted, items)
        accepted = len(inserted)
        return IngestResult(
            accepted=accepted,
            duplicate=len(allowed) - accepted,
            refused=len(interactions) - len(allowed),
        )

    def _unwanted(self, interactions: Sequence[Interaction]) -> set[tuple[Pseudonym, EventKey]]:
        """Return the interactions about topics that their users do not want remembered."""
        with self._uows.read() as uow:
            topics = uow.suppressions.of({one.pseudonym for one in interactions})
            mine = [one for one in interactions if one.pseudonym in topics]
            items = uow.items.get_many({one.item_id for one in mine if one.item_id})
        found: set[tuple[Pseudonym, EventKey]] = set()
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
        self, uow: UnitOfWork, interactions: Sequence[Interaction], *, at: datetime
    ) -> dict[ItemId, Item]:
        wanted = {one.item_id for one in interactions if one.item_id is not None}
        items = uow.items.get_many(wanted)
        missing = wanted - set(items)
        if not missing:
            return items
        if self._config.unknown_items is UnknownItems.REFUSE:
            unknown = [index for index, one in enumerate(interactions) if one.item_id in missing]
            errors = [
                FieldError(f"interactions.{index}.item_id", "unknown item") for index in unknown
            ]
            raise UnknownItemsError(*errors, indices=frozenset(unknown))
        stubs = [Item.stub(item_id) for item_id in sorted(missing)]
        uow.items.upsert(stubs, at=at)
        return items | {stub.item_id: stub for stub in stubs}

    def _remember_or_defer(
        self, rows: Sequence[NewInteraction], items: Mapping[ItemId, Item]
    ) -> None:
        try:
            self._remember(rows, items)
        except DependencyUnavailableError as error:
            _log.warning("memory_write_deferred", n_memories=len(rows), code=error.code)

    def _remember(self, rows: Sequence[NewInteraction], items: Mapping[ItemId, Item]) -> None:
        """Write memories; take back those whose rows were erased meanwhile."""
        pairs = [(row.interaction, _item_of(row.interaction, items)) for row in rows]
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
                for row, (interaction, item), text in zip(rows, pairs, texts, strict=True)
            ]
        )
        with self._uows.write() as uow:
            live = uow.interactions.mark_stored([row.record_id for row in rows])
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
        lease = now + timedelta(seconds=self._config.write_lease_s)
        with self._uows.write() as uow:
            rows = uow.interactions.lease_pending(expired_at=now, until=lease, limit=limit)
            items = uow.items.get_many(
                {row.interaction.item_id for row in rows if row.interaction.item_id is not None}
            )
        if rows:
            self._remember(rows, items)
        return len(rows)


def _item_of(interaction: Interaction, items: Mapping[ItemId, Item]) -> Item | None:
    return items[interaction.item_id] if interaction.item_id is not None else None
