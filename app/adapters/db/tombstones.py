"""Tombstones in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from app.adapters.db.session import Record, Repository
from app.adapters.db.tables import erasure_request, tombstone
from app.domain.erasure.request import FINAL, RequestState, Tombstone
from app.domain.models import RequestId

_BEGINNING: Final = datetime(1, 1, 2, tzinfo=UTC)
"""Stands for "from the beginning", since a column of the primary key cannot be NULL. A day after
the first one, so that no time zone turns it into year 0, which Python does not have."""


class SqlTombstones(Repository):
    """Keyed traces of erased data, a row for each (token, request, lower bound)."""

    def add(self, tombstones: Sequence[Tombstone]) -> None:
        widest: dict[tuple[str, str, datetime], dict[str, Any]] = {}
        for stone in tombstones:
            values = values_of(stone)
            key = (stone.token, stone.request_id, values["erased_from"])
            widest[key] = _wider(widest.get(key, values), values)
        if not widest:
            return
        insert = self.session.insert(tombstone)
        old, new = tombstone.c, insert.excluded
        statement = insert.on_conflict_do_update(
            index_elements=[old.token, old.request_id, old.erased_from],
            set_={
                "erased_before": _greater(old.erased_before, new.erased_before),
                "epoch": _greater(old.epoch, new.epoch),
            },
        )
        self.session.connection.execute(statement, [widest[key] for key in sorted(widest)])

    def n_records(self, token: str) -> int | None:
        found = sa.func.coalesce(erasure_request.c.n_records, 1)
        requests = tombstone.outerjoin(
            erasure_request, tombstone.c.request_id == erasure_request.c.request_id
        )
        total = sa.select(sa.func.sum(found)).select_from(requests)
        row = self.session.first(total.where(tombstone.c.token == token))
        return None if row is None or row[0] is None else int(row[0])

    def find(self, tokens: Collection[str]) -> dict[str, list[Tombstone]]:
        rows = self.session.rows(
            sa.select(tombstone)
            .where(self.session.within(tombstone.c.token, tokens))
            .order_by(
                tombstone.c.token,
                tombstone.c.erased_from,
                tombstone.c.erased_before.desc(),
                tombstone.c.request_id,
            )
        )
        found: dict[str, list[Tombstone]] = {}
        for stone in map(tombstone_of, rows):
            stones = found.setdefault(stone.token, [])
            if stone.erased_from is None and stones:
                # Several requests erased the same: the first has the latest bound already.
                stones[0] = _merged(stones[0], stone)
            else:
                stones.append(stone)
        return found

    def are_any(self) -> bool:
        return self.session.first(sa.select(tombstone.c.token).limit(1)) is not None

    def are_settled(self, token: str) -> bool:
        row = self.session.first(
            sa.select(erasure_request.c.request_id)
            .join(tombstone, tombstone.c.request_id == erasure_request.c.request_id)
            .where(tombstone.c.token == token, erasure_request.c.state.not_in(sorted(FINAL)))
            .limit(1)
        )
        return row is None

    def of(self, request_ids: Collection[RequestId]) -> list[Tombstone]:
        mine = self.session.within(tombstone.c.request_id, request_ids)
        return [tombstone_of(row) for row in self.session.rows(sa.select(tombstone).where(mine))]

    def request_ids(self) -> set[RequestId]:
        held = sa.select(erasure_request.c.request_id).where(
            erasure_request.c.state == RequestState.ON_HOLD.value
        )
        ids = sa.select(tombstone.c.request_id).distinct()
        rows = self.session.rows(ids.where(tombstone.c.request_id.not_in(held)))
        return {RequestId(row.request_id) for row in rows}

    def unknown(self, request_ids: Collection[RequestId]) -> set[RequestId]:
        known: set[str] = set()
        for column in (tombstone.c.request_id, erasure_request.c.request_id):
            found = sa.select(column).where(self.session.within(column, request_ids)).distinct()
            known |= {row.request_id for row in self.session.rows(found)}
        return set(request_ids) - known

    def remove_of(self, request_id: RequestId) -> int:
        return self.session.changed(
            sa.delete(tombstone).where(tombstone.c.request_id == request_id)
        )


def _greater(old: Any, new: Any) -> sa.Case[Any]:  # noqa: ANN401 - columns of two types
    return sa.case((old < new, new), else_=old)


def _wider(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    bounds = {name: max(one[name], other[name]) for name in ("erased_before", "epoch")}
    return one | bounds


def _merged(first: Tombstone, other: Tombstone) -> Tombstone:
    return Tombstone(
        token=first.token,
        request_id=first.request_id,
        erased_before=first.erased_before,
        epoch=max(first.epoch, other.epoch),
    )


def values_of(stone: Tombstone) -> dict[str, Any]:
    """Return the row of a tombstone."""
    return {
        "token": stone.token,
        "request_id": stone.request_id,
        "erased_from": stone.erased_from or _BEGINNING,
        "erased_before": stone.erased_before,
        "epoch": stone.epoch,
    }


def tombstone_of(row: Record) -> Tombstone:
    """Return the tombstone in a row; the inverse of ``values_of``."""
    return Tombstone(
        token=row.token,
        request_id=row.request_id,
        erased_before=row.erased_before,
        erased_from=None if row.erased_from == _BEGINNING else row.erased_from,
        epoch=row.epoch,
    )
