"""Removes erased rows from PostgreSQL's files: the tables' and the write-ahead log's.

A table is written anew (``VACUUM (FULL)``) under a lock that keeps everybody else from it. What
waits for that lock has all who come later wait behind it, so it is waited for a moment at a time;
and of a table in partitions only those are written that the erased people lie in, one by one.

One pass serves all who wait. Who asks holds a shared advisory lock for each table that they need
written, and then one of their own number; PostgreSQL itself keeps these, shows them, and drops them
with the session of whoever dies. Whoever gets the turn reads them before anything else, writes all
of these tables and tells the askers, whose tables were all written, by their numbers. Everybody has
deleted before they ask, so who comes after the reading is not served; and where a pass ends
without a word, by an error or a kill, the next of those who wait does it all again.

The log holds erased rows, and whole pages with erased rows in them. By default the server reuses
old segments under new names, with their bytes; where it was told to remove them
(``wal_recycle = off``) a new segment is begun, and a checkpoint lets the old ones go. Replication
slots, a standby or an archive that is behind, and ``wal_keep_size`` keep them longer: those are
for an operator.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine

from app.adapters.db import engine as engines
from app.domain.errors import BusyError, DependencyUnavailableError

_log = structlog.get_logger(__name__)
_LOCK_MS: Final = 100
"""The longest that anybody waits behind us for a table that somebody else is using."""
_PAUSE_S: Final = 0.1
_PAUSES: Final = 50
_TURN_PAUSES: Final = 5_400
"""Those of somebody who waits while others clean; below a task's time limit."""
KEYS: Final = {"turn": 0x1E7E_0078, "wanted": 0x1E7E_0079, "asker": 0x1E7E_007A}
"""Advisory locks: the turn, one for each table that somebody needs written, who that is."""
_TOLD: Final = "lethe_cleaned"
SESSION: Final = (
    f"SET lock_timeout = {_LOCK_MS}",
    # A cleaner that stands still (a frozen machine) does not keep its turn; from PostgreSQL 14 on.
    "SELECT set_config(name, '60s', false) FROM pg_settings WHERE name = 'idle_session_timeout'",
    f"LISTEN {_TOLD}",
)
_WANT: Final = """
    SELECT coalesce(part.oid, whole.oid), pg_advisory_lock_shared(
        %(wanted)s, coalesce(part.oid, whole.oid)::int
    )
    FROM unnest(%(tables)s::text[]) AS told (name)
    JOIN pg_class AS whole ON whole.oid = told.name::regclass
    LEFT JOIN pg_inherits ON inhparent = whole.oid
    LEFT JOIN pg_class AS part ON part.oid = inhrelid
    LEFT JOIN LATERAL regexp_match(
        pg_get_expr(part.relpartbound, part.oid), 'modulus (\\d+), remainder (\\d+)'
    ) AS bound ON true
    WHERE part.oid IS NULL OR %(people)s::text[] IS NULL OR EXISTS (
        SELECT FROM unnest(%(people)s::varchar[]) AS pseudonym WHERE
        satisfies_hash_partition(inhparent, bound[1]::int, bound[2]::int, pseudonym)
    )
"""
"""PostgreSQL says itself which partitions somebody's rows lie in; a whole table is its own."""
_JOIN: Final = "SELECT pg_advisory_lock(%(asker)s, %(number)s)"
_TAKE: Final = "SELECT pg_try_advisory_lock(%(turn)s, 0)"
_ASKED: Final = """
    SELECT max(objid::bigint) FILTER (WHERE classid = %(asker)s),
        coalesce(array_agg(objid::bigint) FILTER (WHERE classid = %(wanted)s), '{}')
    FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 2
        AND classid IN (%(asker)s, %(wanted)s)
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    GROUP BY pid HAVING bool_or(classid = %(asker)s)
"""
"""One look at all locks, and a number is taken last: whose is seen, all of theirs is seen."""
_TELL: Final = f"SELECT pg_notify('{_TOLD}', %s)"
_FILES: Final = """
    SELECT told, told::oid::regclass::text, pg_relation_filenode(told::oid)
    FROM unnest(%s::bigint[]) AS told ORDER BY 1
"""
_RUNNING: Final = """
    SELECT virtualxid FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'virtualxid' AND granted AND pid <> pg_backend_pid()
        AND datname = current_database()
"""
_TRIES: Final = 2
"""Two, because a segment that one checkpoint still needs is removed at the next."""
_MAY: Final = """
    SELECT current_setting('wal_recycle', true) = 'off'
        AND has_function_privilege('pg_switch_wal()', 'execute')
        AND has_function_privilege('pg_ls_waldir()', 'execute')
        AND (
            current_setting('is_superuser') = 'on'
            OR EXISTS (
                SELECT FROM pg_roles
                WHERE rolname = 'pg_checkpoint' AND pg_has_role(oid, 'usage')
            )
        )
"""
_SWITCH: Final = "SELECT pg_walfile_name(pg_switch_wal())"
_KEPT: Final = """
    SELECT count(*) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' AND name <= %s
"""


def rewrite(
    engine: Engine, tables: Sequence[str], *, people: Collection[str] | None = None
) -> None:
    """Write tables and their indexes anew, drop the old files, and retire the log.

    Who waits for another's pass to end may find that the next one was for them, too.

    Args:
        engine: of the database.
        tables: their names.
        people: the pseudonyms that rows were deleted or changed of; None writes all partitions.

    Raises:
        DependencyUnavailableError: the database does not answer, or a table is in use.
    """
    told = {"tables": list(tables), "people": None if people is None else sorted(people)}
    number, heard = secrets.randbits(31), set[str]()
    pauses = _pauses(_TURN_PAUSES)
    with engines.alone(engine) as connection:
        driver: Any = connection.connection.dbapi_connection
        driver.add_notify_handler(lambda notice: heard.add(notice.payload))
        for statement in SESSION:
            connection.exec_driver_sql(statement)
        own = set(connection.exec_driver_sql(_WANT, KEYS | told).scalars())
        connection.exec_driver_sql(_JOIN, KEYS | {"number": number})
        while not connection.exec_driver_sql(_TAKE, KEYS).scalar_one() and str(number) not in heard:
            next(pauses)
        asked: dict[int, list[int]] = dict(iter(connection.exec_driver_sql(_ASKED, KEYS)))
        if str(number) in heard:  # by this look at the latest, for it came with an answer
            return
        left = write_anew(connection, sorted(set().union(*asked.values())), own=own)
        retire_log(connection)
        for asker, wanted in asked.items():
            if left.isdisjoint(wanted):
                connection.exec_driver_sql(_TELL, (str(asker),))


def write_anew(connection: Connection, wanted: Sequence[int], *, own: Collection[int]) -> set[int]:
    """Write what is wanted; return what others want and could not be written.

    Raises:
        DependencyUnavailableError: the same of what we want ourselves.
    """
    pauses = _pauses(_PAUSES)
    await_older(connection, pauses)
    before = _files(connection, wanted)
    left = deque(before)
    try:
        while left:
            try:
                connection.exec_driver_sql(f"VACUUM (FULL) {before[left[0]][0]}")
                left.popleft()
            except BusyError:
                next(pauses)
                left.rotate(-1)
    except BusyError:
        if not set(left).isdisjoint(own):
            raise
    after = _files(connection, wanted)
    same = {one for one in wanted if before[one] == after[one]}
    if not same.isdisjoint(own):
        # A role that may not have a table written anew is told by a warning, not an error.
        raise DependencyUnavailableError("the database did not write a table anew")
    return same


def _files(connection: Connection, wanted: Sequence[int]) -> Mapping[int, tuple[str, int]]:
    """Return the names of tables, and the numbers of the files that they lie in."""
    rows = connection.exec_driver_sql(_FILES, (list(wanted),))
    return {table: (name, file) for table, name, file in rows}


def _pauses(n: int) -> Iterator[None]:
    """Wait a moment at each step; BusyError where that was long enough."""
    for _ in range(n):
        time.sleep(_PAUSE_S)
        yield
    raise BusyError("somebody uses the database's tables")


def await_older(connection: Connection, pauses: Iterator[None]) -> None:
    """Wait until no transaction is left that may still see the deleted rows.

    For these PostgreSQL copies the rows into the new file, whatever tables they have read. Twice,
    because who begins beside an old writer reads as of before it.
    """
    for _ in range(2):
        old = set(connection.exec_driver_sql(_RUNNING).scalars())
        while old & set(connection.exec_driver_sql(_RUNNING).scalars()):
            next(pauses)


def retire_log(connection: Connection) -> int | None:
    """Remove the segments that were written until now.

    Args:
        connection: to PostgreSQL, in no transaction.

    Returns:
        How many of them the server still keeps; None where it reuses them, or where the role may
        not: it has to be a superuser, or have ``pg_checkpoint``, ``pg_switch_wal`` and
        ``pg_ls_waldir``.

    Raises:
        DependencyUnavailableError: the database does not answer.
    """
    if not connection.exec_driver_sql(_MAY).scalar_one():
        return None
    n_kept = 0
    for _ in range(_TRIES):
        last = connection.exec_driver_sql(_SWITCH).scalar_one()
        connection.exec_driver_sql("CHECKPOINT")
        n_kept = connection.exec_driver_sql(_KEPT, (last,)).scalar_one()
        if n_kept == 0:
            return 0
    _log.warning("write_ahead_log_kept", n_segments=n_kept)
    return int(n_kept)
