"""Removes erased rows from PostgreSQL's files: the tables' and the write-ahead log's.

The log holds erased rows, and whole pages with erased rows in them. By default the server reuses
old segments under new names, with their bytes; where it was told to remove them
(``wal_recycle = off``) a new segment is begun, and a checkpoint lets the old ones go. Replication
slots, a standby or an archive that is behind, and ``wal_keep_size`` keep them longer: those are
for an operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy import Engine

from app.adapters.db import engine as engines

_log = structlog.get_logger(__name__)
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


def rewrite(engine: Engine, tables: Sequence[str]) -> None:
    """Write tables and their indexes anew, drop the old files, and retire the log.

    Raises:
        DependencyUnavailableError: the database does not answer, or a table is in use.
    """
    with engines.alone(engine) as connection:
        connection.exec_driver_sql(f"VACUUM (FULL) {', '.join(tables)}")
    retire_log(engine)


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
