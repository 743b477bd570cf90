"""Searching the bytes of every store for what must be gone, with a canary that must be found."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from app.domain.erasure.fingerprint import fingerprints_of
from app.domain.erasure.manifest import ErasureManifest
from app.domain.erasure.request import ErasureOrder
from app.domain.erasure.residue import Needles, ProbeReport
from app.domain.models import Interaction, Kind, Pseudonym, RequestId
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.memory import describe_item
from app.ports.cache import Cache
from app.ports.clock import Clock
from app.ports.memory_store import MemoryStore
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.ports.probe import Probe
from app.ports.vault import KeyVault
from app.services.ingestion.service import IngestService


class ResidueSearch:
    """Collects, before the scrub, what must be gone, and searches for it afterwards.

    The canary is a user of our own in every store: a search that does not find it proves nothing.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        memory: MemoryStore,
        cache: Cache,
        vault: KeyVault,
        ingest: IngestService,
        probe: Probe,
        identity: Identity,
        clock: Clock,
    ) -> None:
        self._uows = uows
        self._memory = memory
        self._cache = cache
        self._vault = vault
        self._ingest = ingest
        self._probe = probe
        self._identity = identity
        self._clock = clock

    def collect(self, order: ErasureOrder) -> ErasureManifest:
        """Return what must be gone afterwards, in every form the stores hold it. Reads only."""
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
                *(one.stored_event_id for one in traces if one.stored_event_id),
            ),
            ids=(*record_ids, *(one.event_key for one in traces)),
            pseudonyms=(order.pseudonym,) if order.is_whole_user else (),
            keys=(wrapped,) if wrapped else (),
            vectors=tuple(memory.embedding for memory in stored),
        )
        counts = {
            "memory": len(stored),
            "rows": len(traces),
            "cache": self._cache.count(order.pseudonym),
            "vault": self._vault.count(order.pseudonym) if order.is_whole_user else 0,
        }
        return ErasureManifest(order, needles, counts)

    def everything_of(self, pseudonym: Pseudonym) -> ErasureManifest:
        """Return what ``collect`` does for an erasure of everything."""
        order = ErasureOrder(RequestId(""), pseudonym, is_whole_user=True, record_ids=())
        return self.collect(order)

    def _own_words(self, texts: list[str]) -> tuple[str, ...]:
        """Leave out texts that the catalogue says as well: finding those proves nothing."""
        if not texts:
            return ()
        with self._uows.read() as uow:
            said = [describe_item(item) + item.description for item in uow.items.all_items()]
        return tuple(text for text in texts if not any(text in words for words in said))

    def search(
        self, groups: Sequence[Needles], *, key: bytes = b""
    ) -> list[tuple[ProbeReport, ...]]:
        """Search all stores once; return for each group of needles one report a store.

        With a ``key`` the groups are fingerprints, and the canary's are searched for as well.

        Raises:
            DependencyUnavailableError: a store cannot be read, or the canary not be planted.
        """
        control = self._canary()
        if key:
            control = replace(control, fingerprints=fingerprints_of(control, key=key))
        return self._probe.search(groups, control=control, key=key)

    def _canary(self) -> Needles:
        """Return what every search must find, planting it where it is missing."""
        pseudonym = self._identity.canary()
        with self._uows.read() as uow:
            is_planted = bool(uow.interactions.record_ids_of(pseudonym))
        if not is_planted:
            note = Interaction(
                pseudonym=pseudonym,
                event_key=self._identity.event_key(pseudonym, "canary"),
                kind=Kind.NOTE,
                occurred_at=self._clock.now(),
                text=f"canary {secrets.token_hex(24)}",
            )
            self._ingest.record([note])
        needles = self.everything_of(pseudonym).needles
        controls = self._memory.controls()
        return replace(
            needles,
            documents=(*needles.documents, *(one.document for one in controls)),
            ids=(*needles.ids, *(one.record_id for one in controls)),
            pseudonyms=(*needles.pseudonyms, *(one.pseudonym for one in controls)),
            vectors=(*needles.vectors, *(one.embedding for one in controls)),
        )
