"""Everybody's evidence out of SQL, many rows in one.

The database puts the columns of a range of rows together: one value for each column, which is read
in one go. A row for each would cost the interpreter more than it costs the database. Two
connections read at the same time, and what one has read is taken in meanwhile.
"""

from __future__ import annotations

from binascii import unhexlify
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects import postgresql

from app.adapters.db.engine import BEGIN_OPTION, READ
from app.adapters.db.feed import SqlChanges
from app.adapters.db.session import Session
from app.adapters.db.tables import interaction
from app.domain.models import Kind
from app.domain.recommendation.everybody import Rows
from app.domain.recommendation.numbers import END, Ids, packed_items, packed_one_by_one
from app.domain.recommendation.opinions_of_many import KINDS

_row = interaction.c
_IDS: Final = 30_000
"""Numbers of rows that are read at once; more no longer fit a core's cache."""
_UNIT: Final = 1_000
_SHIFT: Final = 1_000_000
"""Ratings come as whole thousandths, and this many more, so that they are no less than 0."""
_NONE, _OTHER = -1, -2
"""What stands for no rating, and for one that is not so many thousandths."""
_Y2K_US: Final = 946_684_800_000_000
"""Microseconds from 1970 to 2000, from which PostgreSQL counts."""
_THOUSANDTHS: Final = sa.cast(_row.value * float(_UNIT) + (_SHIFT + 0.5), sa.Integer)


def _text(told: object) -> sa.ColumnElement[Any]:
    """Return a text as a literal: a parameter would be copied for each row."""
    return sa.literal_column(f"'{told}'")


_KIND: Final = sa.case(
    {kind.value: _text(at) for at, kind in enumerate(KINDS)},
    value=_row.kind,
    else_=_text(len(KINDS)),
)
_USUAL: Final = (4, 5, 3, 3.5, 4.5, 2, 1, 2.5, 1.5, 0.5)
"""Ratings that SQLite knows by sight, sooner than it has computed one."""
_RATING: Final = sa.case(
    {rating: _text(round(rating * _UNIT) + _SHIFT) for rating in _USUAL},
    value=_row.value,
    else_=sa.case(
        (_row.value.is_(None), _NONE),
        ((_THOUSANDTHS - _SHIFT) / float(_UNIT) == _row.value, _THOUSANDTHS),
        else_=_OTHER,
    ),
)
_MOMENT: Final = sa.type_coerce(_row.occurred_at, sa.BigInteger)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_together = sa.func.group_concat
_SQLITE: Final = (
    sa.func.count(),
    _together(_row.pseudonym, _text("")),
    _together(_KIND, _text("")),
    _together(_MOMENT),
    _together(_RATING),
    _together(_row.item_id, _text(END.decode())),
)
_joined = sa.func.string_agg
_NOTHING: Final = sa.literal(b"", postgresql.BYTEA)
_POSTGRES: Final = (
    sa.func.count(),
    _joined(sa.func.decode(_row.pseudonym, "hex"), _NOTHING),
    _joined(_KIND, ""),
    _joined(sa.func.timestamptz_send(_row.occurred_at), _NOTHING),
    _joined(sa.func.float8send(sa.func.coalesce(_row.value, sa.cast("NaN", sa.Double))), _NOTHING),
    _joined(sa.func.convert_to(_row.item_id, "UTF8"), sa.literal(END, postgresql.BYTEA)),
)
_ONE_PLAN: Final = sa.text("SET LOCAL plan_cache_mode = force_generic_plan")
_SNAPSHOT: Final = sa.text("SELECT pg_export_snapshot()")


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
    with ExitStack() as stack:
        readers = SimpleQueue[Session]()
        sessions = [session, *_beside(session, stack)]
        for one in sessions:
            readers.put(one)
        threads = stack.enter_context(ThreadPoolExecutor(len(sessions), "evidence"))
        coming = deque[Future[Rows | None]]()
        for begin in range(first, last + 1, _IDS):
            coming.append(threads.submit(_read, readers, evidence, begin))
            if len(coming) > len(sessions):
                yield from _told(coming.popleft())
        for last_read in coming:
            yield from _told(last_read)


def _told(coming: Future[Rows | None]) -> Iterator[Rows]:
    rows = coming.result()
    if rows:
        yield rows


def _beside(session: Session, stack: ExitStack) -> Iterator[Session]:
    """Yield another session that sees what this one does.

    None where this one may write, or where others have written since it began.
    """
    options = session.connection.get_execution_options()
    if not (options.get("postgresql_readonly") or options.get(BEGIN_OPTION) == READ):
        return
    connection = stack.enter_context(session.connection.engine.connect())
    other = Session(connection, session.is_postgres)
    if session.is_postgres:
        [(name,)] = session.rows(_SNAPSHOT)
        connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{name}'")
        # To plan for 64 partitions takes longer than to read a range of them.
        for one in (session, other):
            one.connection.execute(_ONE_PLAN)
        yield other
    elif SqlChanges(other).head() == SqlChanges(session).head():  # each change of evidence is told
        yield other


def _read(readers: SimpleQueue[Session], evidence: sa.Select[Any], begin: int) -> Rows | None:
    """Return a range of rows by a session that is idle; None where it holds none."""
    within = evidence.where(_row.interaction_id.between(begin, begin + _IDS - 1))
    session = readers.get()
    try:
        return _rows(session, within)
    finally:
        readers.put(session)


def _rows(session: Session, within: sa.Select[Any]) -> Rows | None:
    columns, rows = (_POSTGRES, _of_postgres) if session.is_postgres else (_SQLITE, _of_sqlite)
    [(n_rows, *told)] = session.plain(within.with_only_columns(*columns))
    return rows(n_rows, *told) or _one_by_one(session, within) if n_rows else None


def _of_sqlite(
    n_rows: int, users: str, kinds: str, moments: str, ratings: str, items: str
) -> Rows | None:
    """Return rows told as text: SQLite puts numbers together in no other way.

    None where one has an uncommon rating, or what ends an id within it.
    """
    thousandths = _numbers(ratings)
    ids = packed_items(items.encode(), n_items=n_rows)
    if ids is None or _OTHER in thousandths:
        return None
    values = (thousandths - _SHIFT) / _UNIT
    values[thousandths == _NONE] = np.nan
    return Rows(_packed(unhexlify(users)), ids, _kinds(kinds), values, _numbers(moments))


def _of_postgres(
    n_rows: int, users: bytes, kinds: str, moments: bytes, ratings: bytes, items: bytes
) -> Rows | None:
    """Return rows told in binary; None where what ends an id is within one."""
    ids = packed_items(items, n_items=n_rows)
    return (
        ids
        if ids is None
        else Rows(
            _packed(users),
            ids,
            _kinds(kinds),
            np.frombuffer(ratings, dtype=">f8").astype(np.float64),
            np.frombuffer(moments, dtype=">i8").astype(np.int64) + _Y2K_US,
        )
    )


def _one_by_one(session: Session, within: sa.Select[Any]) -> Rows:
    at, read = session.unread(_row.occurred_at)
    columns = (_row.pseudonym, _row.item_id, _row.kind, _row.value, at)
    told = session.plain(within.with_only_columns(*columns))
    users, items, kinds, values, moments = zip(*told, strict=True)
    return Rows(
        _packed(unhexlify("".join(users))),
        packed_one_by_one(items),
        np.array([KINDS.index(Kind(kind)) for kind in kinds], dtype=np.uint8),
        np.array(values, dtype=np.float64),
        np.array([(read(one) - _EPOCH) // _MICROSECOND for one in moments], dtype=np.int64),
    )


def _packed(users: bytes) -> Ids:
    return np.frombuffer(users, dtype=np.uint8).reshape(-1, 32)


def _kinds(digits: str) -> NDArray[np.uint8]:
    return np.frombuffer(digits.encode(), dtype=np.uint8) - np.uint8(ord("0"))


def _numbers(told: str) -> NDArray[np.int64]:
    return np.fromstring(told, dtype=np.int64, sep=",")
