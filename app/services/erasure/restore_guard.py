"""The restore guard: after a restore from backup, nothing is served before erasures are repeated.

The ledger lies with the keys and lists every erasure; SQL holds the number last written to the
vector store. Whichever of the three was restored from a backup lacks what the others know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import structlog

from app.domain.audit.entries import Leaf, LeafKind
from app.domain.erasure.request import ErasureOrder, Reason, Tombstone
from app.domain.erasure.scope import AllScope, EventsScope, Scope
from app.domain.errors import IntegrityError, LogForkedError, RestoreInProgressError
from app.domain.models import Pseudonym, RecordId, RequestId
from app.domain.privacy.pseudonyms import Identity
from app.ports.clock import Clock
from app.ports.ledger import ErasureLedger
from app.ports.memory_store import MemoryStore, Reindexed
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.ports.vault import KeyVault
from app.services.audit.succession import SuccessionService
from app.services.erasure.requests import ForgetCommand, ForgetService
from app.services.erasure.residue_search import ResidueSearch
from app.services.ingestion.service import IngestService
from app.services.ingestion.tombstone_filter import tombstone_tokens

_log = structlog.get_logger(__name__)
Stones = Mapping[str, Sequence[Tombstone]]


@dataclass(frozen=True, slots=True)
class RestoreStores:
    """What may come from a backup besides SQL."""

    memory: MemoryStore
    vault: KeyVault
    ledger: ErasureLedger


class RestoreService:
    """Finds that a store was restored and has its erasures repeated.

    Nothing is served meanwhile, nor before the first ``check``.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        stores: RestoreStores,
        forget: ForgetService,
        succession: SuccessionService,
        ingest: IngestService,
        search: ResidueSearch,
        identity: Identity,
        clock: Clock,
    ) -> None:
        self._uows = uows
        self._memory = stores.memory
        self._vault = stores.vault
        self._ledger = stores.ledger
        self._forget = forget
        self._succession = succession
        self._ingest = ingest
        self._search = search
        self._identity = identity
        self._clock = clock
        self._is_open = False
        self._n_leaves = -1

    @property
    def is_open(self) -> bool:
        """Whether the last check found nothing that has to be erased again."""
        return self._is_open

    def require_open(self) -> None:
        """Refuse to serve data that a finished erasure should have removed.

        Raises:
            RestoreInProgressError: until everything was erased again.
        """
        if not self._is_open:
            raise RestoreInProgressError("erasures are being repeated after a restore")

    def check(self) -> bool:
        """Compare the stores, repeat the erasures one of them lacks; return whether all is open.

        Cheap while nothing was restored: it reads one number of each store. The audit log comes
        first: whatever is repeated is signed, so the log has to be one that may be.

        Raises:
            DependencyUnavailableError: a store does not answer, or its files are out of reach
                here; the gate stays as it is.
            IntegrityError: a search still finds what came back, or two histories of the log were
                signed; the gate stays closed.
        """
        try:
            is_new_log = self._succession.settle()
        except LogForkedError:
            self._is_open = False
            raise
        with self._uows.read() as uow:
            n_leaves, mark = uow.audit.size(), uow.restores.memory_mark()
        is_whole = self._memory.mark() >= mark
        if self._is_open and is_whole and n_leaves >= self._n_leaves and not is_new_log:
            self._n_leaves = n_leaves
            return True
        self._is_open = False
        self._teach_the_ledger()
        is_restored = self._repeat_missing() or not is_whole
        if is_restored:
            self.match_memories()
        with self._uows.read() as uow:
            n_open = uow.restores.n_open()
        if n_open:
            _log.warning("restore_in_progress", n_erasures=n_open)
        self._n_leaves, self._is_open = n_leaves, not n_open
        return self._is_open

    def _teach_the_ledger(self) -> None:
        """Copy tombstones that only SQL has to the ledger, and shred restored keys of the erased.

        The vault is then new, or was restored and has keys that were destroyed.
        """
        known = self._ledger.request_ids()
        with self._uows.read() as uow:
            stones = uow.tombstones.of(uow.tombstones.request_ids() - known)
        if not stones:
            return
        self._ledger.note(stones)
        tokens = {stone.token for stone in stones}
        gone = {
            owner for owner in self._vault.owners() if self._identity.tombstone_all(owner) in tokens
        }
        with self._uows.read() as uow:
            gone -= uow.subjects.known(gone)
        shredded = sum(self._vault.shred(owner) for owner in sorted(gone))
        self._vault.flush()
        _log.info("ledger_taught", n_tombstones=len(stones), n_keys=shredded)

    def _repeat_missing(self) -> bool:
        """Request every erasure again that SQL does not know; return whether there was one."""
        known = self._ledger.request_ids()
        with self._uows.read() as uow:
            missing = uow.tombstones.unknown(known)
        if not missing:
            return False
        stones = self._ledger.tombstones(missing)
        scopes = self._covered(stones)
        asked = {stone.token for stone in stones if not stone.is_lapse}
        for user, scope in scopes.items():
            is_whole = isinstance(scope, AllScope)
            is_lapse = is_whole and self._identity.tombstone_all(user) not in asked
            reason = Reason.NO_LONGER_NEEDED if is_lapse else None
            self._forget.accept(
                ForgetCommand(user, scope, reason=reason, is_lapse=is_lapse, is_replay=True)
            )
        facts = {"n_erasures": len(missing), "n_users": len(scopes)}
        with self._uows.write() as uow:
            uow.tombstones.add(stones)
            uow.audit.append([Leaf(LeafKind.RESTORE_FOUND, self._clock.now(), None, facts)])
        _log.warning("restore_found", **facts)
        return True

    def _covered(self, stones: Sequence[Tombstone]) -> dict[Pseudonym, Scope]:
        """Return for each user the scope of rows that exist although a tombstone covers them."""
        by_token: dict[str, list[Tombstone]] = defaultdict(list)
        for stone in stones:
            by_token[stone.token].append(stone)
        scopes: dict[Pseudonym, Scope] = {}
        with self._uows.read() as uow:
            without_rows = uow.subjects.active()
            for user, rows in groupby(uow.interactions.outlines(), attrgetter("pseudonym")):
                without_rows.discard(user)
                outlines = list(rows)
                doomed = [
                    one.event_key
                    for one in outlines
                    if any(
                        stone.covers(one.occurred_at)
                        for token in tombstone_tokens(self._identity, one)
                        for stone in by_token.get(token, ())
                    )
                ]
                is_all = self._identity.tombstone_all(user) in by_token
                if is_all and len(doomed) == len(outlines):
                    scopes[user] = AllScope()
                elif doomed:
                    scopes[user] = EventsScope(tuple(doomed))
        for user in sorted(without_rows):
            if self._identity.tombstone_all(user) in by_token:
                scopes[user] = AllScope()
        return scopes

    def reindex(self, shards: Sequence[int] | None) -> Reindexed:
        """Replace shards (None: all) by copies without dead slots, and remove the old files.

        What was in a shard whose files are damaged is written anew from the rows.

        Raises:
            InvalidInputError: there is no such shard.
            DependencyUnavailableError: a store does not answer, or its files are out of reach.
        """
        done = self._memory.reindex(shards)
        if done.emptied:
            self.match_memories()
        _log.warning(
            "reindexed", n_shards=done.shards, n_copied=done.copied, n_emptied=done.emptied
        )
        return done

    def rebalance(self) -> Reindexed:
        """Move the shards on this machine that belong on another, and note where memories lie.

        Raises:
            DependencyUnavailableError: a store does not answer, or its files are out of reach.
            IntegrityError: a copy is not like its original, which stands.
        """
        done = self.reindex(self._memory.misplaced())
        mark = self._memory.mark() + 1
        self._memory.set_mark(mark)
        with self._uows.write() as uow:
            uow.restores.note_memory_mark(mark)
        return done

    def match_memories(self) -> None:
        """Store a memory for every row that lacks one, and scrub every memory without a row.

        Rows come first and go last, so a memory without one was erased, or its row was lost.

        Raises:
            DependencyUnavailableError: a store does not answer, or cannot be searched.
            IntegrityError: a search still finds what was scrubbed.
        """
        owners = {one: user for shard in self._memory.owners() for one, user in shard.items()}
        with self._uows.write() as uow:
            mark = max(self._memory.mark(), uow.restores.memory_mark())
            n_lost = uow.interactions.mark_unstored(owners, due_at=self._clock.now())
        while self._ingest.repair():
            pass
        orders = self._strays(owners)
        self._scrub(orders)
        facts = {"n_strays": sum(len(one.record_ids) for one in orders), "n_lost": n_lost}
        self._memory.set_mark(mark)
        with self._uows.write() as uow:
            uow.restores.note_memory_mark(mark)
            uow.audit.append([Leaf(LeafKind.RESTORE_FOUND, self._clock.now(), None, facts)])
        _log.warning("restore_found", **facts)

    def _scrub(self, orders: Sequence[ErasureOrder]) -> None:
        if not orders:
            return
        manifests = [self._search.collect(order) for order in orders]
        for order in orders:
            self._memory.erase(order)
        self._memory.maintain(sorted({order.pseudonym for order in orders}))
        reports = self._search.search([one.needles for one in manifests])
        if not all(report.is_clean for found in reports for report in found):
            raise IntegrityError("memories that a backup brought back are still found")

    def _strays(self, owners: Mapping[RecordId, Pseudonym]) -> list[ErasureOrder]:
        strays: dict[Pseudonym, list[RecordId]] = defaultdict(list)
        with self._uows.read() as uow:
            for record_id in sorted(uow.interactions.missing(owners)):
                strays[owners[record_id]].append(record_id)
            known = uow.subjects.known(strays)
        return [
            ErasureOrder(
                RequestId(""), user, is_whole_user=user not in known, record_ids=tuple(record_ids)
            )
            for user, record_ids in sorted(strays.items())
        ]
