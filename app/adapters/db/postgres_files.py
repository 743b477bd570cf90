"""Removes erased rows from PostgreSQL's files: the tables' and the write-ahead log's.

A table is written anew (``VACUUM (FULL)``) under a lock that keeps everybody else from it. What
waits for that lock has all who come later wait behind it, so it is waited for a moment at a time;
and of a table in partitions only those are written that the erased people lie in, one by one.

The log holds erased rows, and whole pages with erased rows in them. By default the server reuses
old segments under new names, with their bytes; where it was told to remove them
(``wal_recycle = off``) a new segment is begun, and a checkpoint lets the old ones go. Replication
slots, a standby or an archive that is behind, and ``wal_keep_size`` keep them longer: those are
for an operator.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import structlog
from sqlalchemy import Connection, Engine

from app.adapters.db import engine as engines
from app.domain.errors import BusyError, DependencyUnavailableError

_log = structlog.get_logger(__name__)
_LOCK_MS: Final = 100
"""The longest that anybody waits behind us for a table that somebody else is using."""
_PAUSE_S: Final = 0.1
_PAUSES: Final = 50
_FILES: Final = """
    SELECT coalesce(part.oid, whole.oid)::regclass::text,
        pg_relation_filenode(coalesce(part.oid, whole.oid))
    FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS told (name, place)
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
    ORDER BY place, part.relname
"""
"""PostgreSQL says itself which partitions somebody's rows lie in; a whole table is its own."""
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

    Args:
        engine: of the database.
        tables: their names.
        people: the pseudonyms that rows were deleted or changed of; None writes all partitions.

    Raises:
        DependencyUnavailableError: the database does not answer, or a table is in use.
    """
    told = {"tables": list(tables), "people": None if people is None else sorted(people)}
    pauses = _pauses()
    with engines.alone(engine) as connection:
        connection.exec_driver_sql(f"SET lock_timeout = {_LOCK_MS}")
        _await_older(connection, pauses)
        before: dict[str, int] = dict(iter(connection.exec_driver_sql(_FILES, told)))
        left = deque(before)
        while left:
            try:
                connection.exec_driver_sql(f"VACUUM (FULL) {left[0]}")
                left.popleft()
            except BusyError:
                next(pauses)
                left.rotate(-1)
        after = connection.exec_driver_sql(_FILES, told)
        if any(before.get(name) == file for name, file in after):
            # A role that may not have a table written anew is told by a warning, not an error.
            raise DependencyUnavailableError("the database did not write a table anew")
    retire_log(engine)


def _pauses() -> Iterator[None]:
    """Wait a moment at each step; BusyError where that was long enough."""
    for _ in range(_PAUSES):
        time.sleep(_PAUSE_S)
        yield
    raise BusyError("somebody uses the database's tables")


def _await_older(connection: Connection, pauses: Iterator[None]) -> None:
    """Wait until no transaction is left that may still see the deleted rows.

    For these PostgreSQL copies the rows into the new file, whatever tables they have read. Twice,
    because who begins beside an old writer reads as of before it.
    """
    for _ in range(2):
        old = set(connection.exec_driver_sql(_RUNNING).scalars())
        while old & set(connection.exec_driver_sql(_RUNNING).scalars()):
            next(pauses)


def retire_log(engine: Engine) -> int | None:
    """Remove the segments that were written until now. PostgreSQL only, in no transaction.

    Returns:
        How many of them the server still keeps; None where it reuses them, or where the role may
        not: it has to be a superuser, or have ``pg_checkpoint``, ``pg_switch_wal`` and
        ``pg_ls_waldir``.

    Raises:
        DependencyUnavailableError: the database does not answer.
    """
    with engines.alone(engine) as connection:
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
