"""Deleting items: out of every list at once, and out of every file soon after."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import structlog

from app.domain.erasure.manifest import needles_from_json, needles_to_json
from app.domain.erasure.residue import Needles
from app.domain.errors import DependencyUnavailableError, IntegrityError
from app.domain.models import Item, ItemId, RequestId
from app.domain.privacy.pseudonyms import Identity
from app.domain.recommendation.memory import describe_item
from app.ports.cipher import Cipher
from app.ports.clock import Clock
from app.ports.memory_store import CatalogueIndex, MemoryStore
from app.ports.persistence.removals import Removal
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.ports.vault import KeyVault
from app.services.erasure.residue_search import ResidueSearch
from app.services.ingestion.service import IngestService

_PURPOSE: Final = "needles"
_BATCH: Final = 1_000
_TURN: Final = timedelta(minutes=10)
"""How long a process may take before another one finishes what it began."""
_AGAIN: Final = timedelta(hours=1)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RemovalStores:
    """What holds something of an item, besides SQL, and what keeps the needles' keys."""

    index: CatalogueIndex
    memory: MemoryStore
    vault: KeyVault
    cipher: Cipher


class ItemRemovalService:
    """Deletes items with what was made of their words; what users did with them stays.

    A deleted item is to the service one that was never in the catalogue: interactions with it
    are evidence, the counts are as before, and memories of it are written anew without its words.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        stores: RemovalStores,
        ingest: IngestService,
        search: ResidueSearch,
        identity: Identity,
        clock: Clock,
    ) -> None:
        self._uows = uows
        self._stores = stores
        self._ingest = ingest
        self._search = search
        self._identity = identity
        self._clock = clock

    def remove(self, item_id: ItemId) -> bool:
        """Delete an item; return whether it was in the catalogue.

        When this returns it is in no list, in no search of this process, and no memory of it is
        used before it is written anew. Its bytes go with ``finish``.

        Raises:
            DependencyUnavailableError: a store does not answer; nothing was deleted.
        """
        with self._uows.read() as uow:
            if not _entry(uow.items.get_many([item_id])):
                return False
        removal_id = RequestId(secrets.token_hex(16))
        owner = self._identity.needle_owner(removal_id)
        vectors = self._stores.index.vectors([item_id])
        self._stores.cipher.prepare([owner])
        now = self._clock.now()
        with self._uows.write() as uow:
            found = _entry(uow.items.hold([item_id]))
            texts = tuple(word for item in found for word in _words(item))
            box = json.dumps(needles_to_json(Needles(texts=texts, vectors=tuple(vectors.values()))))
            by_id: dict[str, str] = {removal_id: box}
            sealed = self._stores.cipher.seal(by_id, pseudonym=owner, purpose=_PURPOSE)
            uow.items.remove([item_id])
            uow.removals.add(Removal(removal_id, item_id, sealed[removal_id]), due_at=now)
            uow.interactions.mark_stale([item_id], at=now)
        try:
            self._stores.index.remove([item_id])
        except DependencyUnavailableError as error:
            _log.warning("item_removal_deferred", code=error.code)
        return True

    def finish(self) -> int:
        """Remove the bytes of deleted items, search for them, and return how many are gone.

        All that wait share the work, as erasures do. Where a memory is being written the item
        waits for the next time; where something is found it is tried again in an hour.

        Raises:
            DependencyUnavailableError: a store does not answer; the items stay due.
            IntegrityError: the search still finds something.
        """
        now = self._clock.now()
        with self._uows.write() as uow:
            claimed = uow.removals.claim(now=now, until=now + _TURN, limit=_BATCH)
        if not claimed:
            return 0
        try:
            ready = self._rewritten(claimed)
            if ready:
                self._clean(ready)
                self._require_gone(ready)
        except DependencyUnavailableError:
            self._put_off(claimed, by=timedelta(0))
            raise
        except IntegrityError:
            self._put_off(claimed, by=_AGAIN)
            raise
        self._put_off([one for one in claimed if one not in ready], by=timedelta(0))
        self._drop(ready)
        _log.info("items_removed", n_items=len(ready))
        return len(ready)

    def _rewritten(self, removals: Sequence[Removal]) -> list[Removal]:
        """Have the memories of these items written anew; return those of which all are."""
        gone = sorted({one.item_id for one in removals})
        with self._uows.read() as uow:
            back = uow.items.get_many(gone)
        self._stores.index.remove([one for one in gone if one not in back])
        while self._ingest.repair():
            pass
        with self._uows.read() as uow:
            late = uow.interactions.pending_items(gone)
        return [one for one in removals if one.item_id not in late]

    def _clean(self, removals: Sequence[Removal]) -> None:
        with self._uows.read() as uow:
            users = uow.interactions.users_of({one.item_id for one in removals})
        self._stores.memory.maintain(users)
        # What people did with the items stays, and their words are sealed: no row of theirs went.
        self._uows.scrub((), has_items=True)

    def _require_gone(self, removals: Sequence[Removal]) -> None:
        groups = [self._needles(one) for one in removals]
        with self._uows.read() as uow:
            groups = _less_said(groups, uow)
        reports = self._search.search(groups)
        unclean = {one.store for found in reports for one in found if not one.is_clean}
        if unclean:
            _log.error("residue", stores=sorted(unclean))
            raise IntegrityError(f"the probe is not satisfied with: {', '.join(sorted(unclean))}")

    def _needles(self, removal: Removal) -> Needles:
        owner = self._identity.needle_owner(removal.removal_id)
        sealed: dict[str, str] = {removal.removal_id: removal.needles}
        opened = self._stores.cipher.open(sealed, pseudonym=owner, purpose=_PURPOSE)
        needles = needles_from_json(json.loads(opened[removal.removal_id]))
        # Of what is left, an id says what it said before.
        texts = tuple(text for text in needles.texts if text not in removal.item_id)
        return replace(needles, texts=texts)

    def _put_off(self, removals: Sequence[Removal], *, by: timedelta) -> None:
        with self._uows.write() as uow:
            due_at = self._clock.now() + by
            uow.removals.put_off([one.removal_id for one in removals], due_at=due_at)

    def _drop(self, removals: Sequence[Removal]) -> None:
        """Destroy what was kept for the search, the keys first."""
        for removal in removals:
            self._stores.vault.shred(self._identity.needle_owner(removal.removal_id))
        self._stores.vault.flush()
        with self._uows.write() as uow:
            uow.removals.drop([one.removal_id for one in removals])


def _entry(found: Mapping[ItemId, Item]) -> list[Item]:
    return [item for item in found.values() if not item.is_stub]


def _words(item: Item) -> Iterator[str]:
    """Yield everything that an item says in words."""
    yield item.title
    yield item.description
    for value in item.attributes.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, Sequence):
            yield from (str(one) for one in value)


def _less_said(groups: Sequence[Needles], uow: UnitOfWork) -> list[Needles]:
    """Leave out what the catalogue says of other items: finding that proves nothing."""
    wanted = {text for needles in groups for text in needles.texts}
    said: set[str] = set()
    for item in uow.items.all_items():
        words = "\n".join((describe_item(item), item.description, item.item_id))
        said |= {text for text in wanted - said if text in words}
    return [
        replace(
            needles,
            texts=tuple(text for text in needles.texts if text not in said),
            # What is described in the same words has the same vector.
            vectors=() if needles.texts and needles.texts[0] in said else needles.vectors,
        )
        for needles in groups
    ]
