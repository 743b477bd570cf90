"""Everybody's evidence out of SQL, many rows in one.

The database puts the columns of a range of rows together: one value for each column, which is read
in one go. A row for each would cost the interpreter more than it costs the database. While one
range is taken in, the next is read.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects import postgresql

from app.adapters.db.session import Session
from app.adapters.db.tables import interaction
from app.domain.models import Kind
from app.domain.recommendation.everybody import Rows
from app.domain.recommendation.opinions_of_many import KINDS
from app.domain.recommendation.users import Ids

_row = interaction.c
_IDS: Final = 30_000
"""Numbers of rows that are read at once; more no longer fit a core's cache."""
_KIND: Final = sa.case(
    {kind.value: str(at) for at, kind in enumerate(KINDS)}, value=_row.kind, else_=str(len(KINDS))
)
_UNIT: Final = 1_000
_SHIFT: Final = 1_000_000
"""Ratings come as whole thousandths, and this many more, so that they are no less than 0."""
_NONE, _OTHER = -1, -2
"""What stands for no rating, and for one that is not so many thousandths."""
_Y2K_US: Final = 946_684_800_000_000
"""Microseconds from 1970 to 2000, from which PostgreSQL counts."""
_THOUSANDTHS: Final = sa.cast(_row.value * float(_UNIT) + (_SHIFT + 0.5), sa.Integer)
_RATING: Final = sa.case(
    (_row.value.is_(None), _NONE),
    ((_THOUSANDTHS - _SHIFT) / float(_UNIT) == _row.value, _THOUSANDTHS),
    else_=_OTHER,
)
_MOMENT: Final = sa.type_coerce(_row.occurred_at, sa.BigInteger)
_PLAIN: Final = (_row.pseudonym, _row.item_id, _row.kind, _row.value, _MOMENT)
_together = sa.func.group_concat
_SQLITE: Final = (
    sa.func.count(),
    _together(_row.pseudonym, ""),
    _together(_KIND, ""),
    _together(_MOMENT),
    _together(_RATING),
    _together(_row.item_id, sa.func.char(0)),
)
_joined = sa.func.string_agg
_NOTHING: Final = sa.literal(b"", postgresql.BYTEA)
_POSTGRES: Final = (
    sa.func.count(),
    _joined(sa.func.decode(_row.pseudonym, "hex"), _NOTHING),
    _joined(_KIND, ""),
    _joined(sa.func.timestamptz_send(_row.occurred_at), _NOTHING),
    _joined(sa.func.float8send(sa.func.coalesce(_row.value, sa.cast("NaN", sa.Double))), _NOTHING),
    _joined(sa.func.convert_to(_row.item_id, "UTF8"), sa.literal(b"\0", postgresql.BYTEA)),
)
_ONE_PLAN: Final = sa.text("SET LOCAL plan_cache_mode = force_generic_plan")
Told = tuple[Any, ...]


def rows_of(session: Session, evidence: sa.Select[Any]) -> Iterator[Rows]:
    """Yield all rows of evidence, in the order of their numbers, as of this transaction.

    Args:
        session: used by another thread, too, until the end.
        evidence: what selects them.
    """
    bounds = sa.select(sa.func.min(_row.interaction_id), sa.func.max(_row.interaction_id))
    [(first, last)] = session.rows(bounds)
    if first is None:
        return
    if session.is_postgres:  # to plan for 64 partitions takes longer than to read a range of them
        session.connection.execute(_ONE_PLAN)
    dialect = _Postgres(session, evidence) if session.is_postgres else _Sqlite(session, evidence)
    with ThreadPoolExecutor(1, thread_name_prefix="evidence") as ahead:
        coming = ahead.submit(dialect.read, first)
        for begin in range(first, last + 1, _IDS):
            told = coming.result()
            if begin + _IDS <= last:
                coming = ahead.submit(dialect.read, begin + _IDS)
            if told[0]:
                yield dialect.rows(told, begin)


@dataclass(frozen=True, slots=True)
class _Sqlite:
    """Columns as text: SQLite puts numbers together in no other way."""

    session: Session
    evidence: sa.Select[Any]

    def read(self, begin: int) -> Told:
        return _read(self.session, self.evidence.with_only_columns(*_SQLITE), begin)

    def rows(self, told: Told, begin: int) -> Rows:
        n_rows, users, kinds, moments, ratings, items = told
        thousandths = _numbers(ratings)
        ids = items.split("\0")
        if len(ids) != n_rows or _OTHER in thousandths:
            return self._one_by_one(begin)
        values = (thousandths - _SHIFT) / _UNIT
        values[thousandths == _NONE] = np.nan
        return Rows(_packed(unhexlify(users)), ids, _kinds(kinds), values, _numbers(moments))

    def _one_by_one(self, begin: int) -> Rows:
        """Return the rows of a range in which one has an uncommon rating, or a zero in an id."""
        told = self.session.plain(_within(self.evidence.with_only_columns(*_PLAIN), begin))
        users, items, kinds, values, moments = zip(*told, strict=True)
        return Rows(
            _packed(unhexlify("".join(users))),
            items,
            np.array([KINDS.index(Kind(kind)) for kind in kinds], dtype=np.uint8),
            np.array(values, dtype=np.float64),
            np.array(moments, dtype=np.int64),
        )


@dataclass(frozen=True, slots=True)
class _Postgres:
    """Columns as PostgreSQL would send them one by one, in binary."""

    session: Session
    evidence: sa.Select[Any]

    def read(self, begin: int) -> Told:
        return _read(self.session, self.evidence.with_only_columns(*_POSTGRES), begin)

    def rows(self, told: Told, _begin: int) -> Rows:
        _, users, kinds, moments, ratings, items = told
        return Rows(
            _packed(users),
            items.decode().split("\0"),
            _kinds(kinds),
            np.frombuffer(ratings, dtype=">f8").astype(np.float64),
            np.frombuffer(moments, dtype=">i8").astype(np.int64) + _Y2K_US,
        )


def _within(statement: sa.Select[Any], begin: int) -> sa.Select[Any]:
    return statement.where(_row.interaction_id.between(begin, begin + _IDS - 1))


def _read(session: Session, statement: sa.Select[Any], begin: int) -> Told:
    (told,) = session.plain(_within(statement, begin))
    return told


def _packed(users: bytes) -> Ids:
    return np.frombuffer(users, dtype=np.uint8).reshape(-1, 32)


def _kinds(digits: str) -> NDArray[np.uint8]:
    return np.frombuffer(digits.encode(), dtype=np.uint8) - np.uint8(ord("0"))


def _numbers(told: str) -> NDArray[np.int64]:
    return np.fromstring(told, dtype=np.int64, sep=",")
