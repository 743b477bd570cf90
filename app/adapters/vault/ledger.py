"""The ledger of erasures, in the vault's database."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from app.adapters.db.tombstones import tombstone_of, values_of
from app.adapters.vault.sql import SqlKeyVault
from app.adapters.vault.tables import log_head, witness
from app.domain.audit.checkpoint import SignedNote
from app.domain.erasure.request import Tombstone
from app.domain.models import RequestId


class SqlErasureLedger:
    """ErasureLedger and LogHeads in two tables beside the keys.

    Args:
        vault: whose database it is.
    """

    def __init__(self, vault: SqlKeyVault) -> None:
        self._vault = vault

    def note(self, tombstones: Sequence[Tombstone]) -> None:
        values = [values_of(stone) for stone in tombstones]
        if not values:
            return
        with self._vault.session(is_write=True) as session:
            session.changed(session.insert(witness).on_conflict_do_nothing(), values)

    def drop(self, request_id: RequestId) -> None:
        with self._vault.session(is_write=True) as session:
            session.changed(sa.delete(witness).where(witness.c.request_id == request_id))

    def request_ids(self) -> set[RequestId]:
        with self._vault.session() as session:
            rows = session.rows(sa.select(witness.c.request_id).distinct())
        return {RequestId(row.request_id) for row in rows}

    def tombstones(self, request_ids: Collection[RequestId]) -> list[Tombstone]:
        with self._vault.session() as session:
            mine = session.within(witness.c.request_id, request_ids)
            rows = session.rows(sa.select(witness).where(mine).order_by(witness.c.token))
        return [tombstone_of(row) for row in rows]

    def newest(self) -> SignedNote | None:
        statement = sa.select(log_head.c.note).order_by(log_head.c.number.desc()).limit(1)
        with self._vault.session() as session:
            row = session.first(statement)
        return None if row is None else SignedNote.parse(row.note)

    def note_head(self, number: int, *, size: int, note: SignedNote) -> None:
        with self._vault.session(is_write=True) as session:
            insert = session.insert(log_head).values(number=number, size=size, note=note.encode())
            new = insert.excluded
            statement = insert.on_conflict_do_update(
                index_elements=[log_head.c.number],
                set_={"size": new.size, "note": new.note},
                where=log_head.c.size < new.size,
            )
            session.changed(statement)
