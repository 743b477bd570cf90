"""Collecting what a probe must look for, and keeping a canary that it must find."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.domain.erasure.fingerprint import fingerprints_of
from app.domain.erasure.manifest import ErasureManifest
from app.domain.erasure.request import ErasureOrder
from app.domain.erasure.residue import Needles, ProbeReport
from app.domain.models import Interaction, Kind, RequestId
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.memory import describe_item
from app.ports.cache import Cache
from app.ports.clock import Clock
from app.ports.memory_store import MemoryStore
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.ports.probe import Probe
from app.ports.vault import KeyVault
from app.services.ingestion.service import IngestService


class Collector:
    """Reads, before the scrub, every form in which the stores hold what is to go."""

    def __init__(
        self, *, uows: UnitsOfWork, memory: MemoryStore, cache: Cache, vault: KeyVault
    ) -> None:
        """Keep the stores."""
        self._uows = uows
        self._memory = memory
        self._cache = cache
        self._vault = vault

    def collect(self, order: ErasureOrder) -> ErasureManifest:
        """Return the needles and counts of an order. Reads only."""
        stored = self._memory.collect(order)
        with self._uows.read() as uow:
            known = uow.interactions.record_ids_of(order.pseudonym) if order.is_whole_user else ()
            record_ids = sorted({*order.record_ids, *known, *(one.record_id for one in stored)})
            traces = uow.interactions.traces(order.pseudonym, record_ids=record_ids)
        wrapped = self._vault.wrapped(order.pseudonym) if order.is_whole_user else None
        needles = Needles(
            texts=self._own_words([one.text for one in traces if one.text]),
            documents=(
                *(memory.document for memory in stored),
                *(one.stored_text for one in traces if one.stored_text),
            ),
            ids=(*record_ids, *(one.event_key for one in traces)),
            pseudonyms=(order.pseudonym,) if order.is_whole_user else (),
            keys=(wrapped,) if wrapped else (),
            vectors=tuple(memory.embedding for memory in stored),
        )
        return ErasureManifest(
            order, needles, self._counts(order, stored=len(stored), rows=len(traces))
        )

    def _counts(self, order: ErasureOrder, *, stored: int, rows: int) -> Mapping[str, int]:
        return {
            "memory": stored,
            "rows": rows,
            "cache": self._cache.count(order.pseudonym),
            "vault": self._vault.count(order.pseudonym) if order.is_whole_user else 0,
        }

    def _own_words(self, texts: list[str]) -> tuple[str, ...]:
        """Leave out texts that the catalogue says as well: finding those proves nothing."""
        if not texts:
            return ()
        with self._uows.read() as uow:
            said = [describe_item(item) + item.description for item in uow.items.all_items()]
        return tuple(text for text in texts if not any(text in words for words in said))


class Canary:
    """A user of our own in every store, so that a probe that finds nothing can be believed."""

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        ingest: IngestService,
        collector: Collector,
        identity: Identity,
        clock: Clock,
    ) -> None:
        """Keep the collaborators."""
        self._uows = uows
        self._ingest = ingest
        self._collector = collector
        self._identity = identity
        self._clock = clock

    def needles(self) -> Needles:
        """Return what every probe must find, planting it where it is missing.

        Raises:
            DependencyUnavailableError: it cannot be planted, so no probe can be believed.
        """
        pseudonym = self._identity.canary()
        with self._uows.read() as uow:
            planted = uow.interactions.record_ids_of(pseudonym)
        if not planted:
            self._plant()
            with self._uows.read() as uow:
                planted = uow.interactions.record_ids_of(pseudonym)
        order = ErasureOrder(
            RequestId(""), pseudonym, is_whole_user=True, record_ids=tuple(planted)
        )
        return self._collector.collect(order).needles

    def _plant(self) -> None:
        pseudonym = self._identity.canary()
        self._ingest.record(
            [
                Interaction(
                    pseudonym=pseudonym,
                    event_key=self._identity.event_key(pseudonym, "canary"),
                    kind=Kind.NOTE,
                    occurred_at=self._clock.now(),
                    text=f"canary {secrets.token_hex(24)}",
                )
            ]
        )


class ResidueSearch:
    """The byte search of every store, with the canary that it must find."""

    def __init__(self, *, collector: Collector, canary: Canary, probe: Probe) -> None:
        """Keep the collaborators."""
        self._collector = collector
        self._canary = canary
        self._probe = probe

    def collect(self, order: ErasureOrder) -> ErasureManifest:
        """Return what must be gone afterwards. Reads only."""
        return self._collector.collect(order)

    def search(
        self, groups: Sequence[Needles], *, key: bytes = b""
    ) -> list[tuple[ProbeReport, ...]]:
        """Search all stores once; return for each group of needles one report a store.

        With a ``key`` the groups are fingerprints, and the canary's are searched for as well.

        Raises:
            DependencyUnavailableError: a store cannot be read, or the canary not be planted.
        """
        control = self._canary.needles()
        if key:
            control = replace(control, prints=fingerprints_of(control, key=key))
        return self._probe.search(groups, control=control, key=key)
