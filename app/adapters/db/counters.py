"""Numbers given out in the order of commits.

A database's own sequence gives numbers in the order of asking, so a reader could see 8, and 7
only later. A row that is updated stays locked to the end of the transaction: whoever gets the
next number has waited for the commit of the one before, and a rolled-back number is given again.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from app.adapters.db.session import Session
from app.adapters.db.tables import counter
from app.domain.errors import IntegrityError

CHANGE: Final = "change"
PRUNED: Final = "change_pruned"
AUDIT: Final = "audit"
CATALOGUE: Final = "catalogue"
"""The version of the catalogue."""
MEMORY_MARK: Final = "memory_mark"
"""The number that the vector store must carry; the first maintenance makes the counter."""
RETURNED: Final = "residue_returned"
"""How many rechecks were not clean; the first of them makes the counter."""
WORKER_SEEN_MS: Final = "worker_seen_ms"
"""When a worker last did a task, in milliseconds since 1970; the first task makes the counter."""
_FIND: Final = sa.select(counter.c.value).where(counter.c.name == sa.bindparam("name"))


def read(session: Session, name: str) -> int:
    """Return the number last given."""
    value = find(session, name)
    if value is None:
        raise IntegrityError(f"the counter {name} is missing")
    return value


def find(session: Session, name: str) -> int | None:
    """Return the counter's value, None if there is no such counter."""
    row = session.first(_FIND, {"name": name})
    return None if row is None else int(row.value)


def lock(session: Session, name: str) -> None:
    """Lock the counter until the transaction ends; on SQLite the only writer has it already."""
    statement = sa.select(counter.c.value).where(counter.c.name == name)
    session.first(statement.with_for_update())


def advance(session: Session, name: str, *, by: int) -> int:
    """Take the next ``by`` numbers and return the last of them."""
    update = sa.update(counter).where(counter.c.name == name)
    row = session.first(update.values(value=counter.c.value + by).returning(counter.c.value))
    if row is None:
        raise IntegrityError(f"the counter {name} is missing")
    return int(row.value)


def note_maximum(session: Session, name: str, value: int) -> None:
    """Set the counter to ``value`` unless it is higher already; create it if it is missing."""
    insert = session.insert(counter).values(name=name, value=value)
    session.connection.execute(
        insert.on_conflict_do_update(
            index_elements=[counter.c.name],
            set_={"value": insert.excluded.value},
            where=counter.c.value < insert.excluded.value,
        )
    )


def add(session: Session, name: str, n: int) -> None:
    """Add ``n``, and create a counter that is missing. Concurrent callers take turns."""
    insert = session.insert(counter).values(name=name, value=n)
    session.connection.execute(
        insert.on_conflict_do_update(
            index_elements=[counter.c.name],
            set_={"value": counter.c.value + insert.excluded.value},
        )
    )
