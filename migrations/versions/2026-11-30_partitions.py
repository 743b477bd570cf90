"""PostgreSQL: the rows of people in 64 partitions by the hash of their pseudonym.

Each table is copied within the transaction, and nobody reads or writes it meanwhile: of a million
users with 14 rows each for minutes, with room for the table a second time. SQLite stays as it is.

Revision: 0019
Follows: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_N_PARTITIONS = 64
_KEYS = {
    "subject": ("pk_subject PRIMARY KEY (pseudonym)",),
    "interaction": (
        "pk_interaction PRIMARY KEY (interaction_id{more})",
        "uq_interaction_pseudonym_event_key UNIQUE (pseudonym, event_key)",
        "uq_interaction_record_id UNIQUE (record_id{more})",
    ),
}
_INDEXES = (
    "ix_subject_rights ON subject (pseudonym) WHERE rights IS NOT NULL",
    "ix_interaction_item_id ON interaction (item_id)",
    "ix_interaction_history ON interaction (pseudonym, occurred_at DESC, record_id)",
    "ix_interaction_pending ON interaction (pending_until) WHERE pending_until IS NOT NULL",
    "ix_interaction_erased_by ON interaction (erased_by) WHERE erased_by IS NOT NULL",
    "ix_interaction_answered ON interaction (list_scenario, list_variant)"
    " WHERE list_variant IS NOT NULL",
)


def upgrade() -> None:
    """Apply. The version before goes on working, and writes all partitions anew."""
    _rebuild(is_partitioned=True)


def downgrade() -> None:
    """Take back; every erasure has the whole tables written anew again."""
    _rebuild(is_partitioned=False)


def _rebuild(*, is_partitioned: bool) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    # A key of a partitioned table has to name the column of the partitions. Both ids are unique
    # by themselves: one is a sequence's, and the other is random.
    more = ", pseudonym" if is_partitioned else ""
    for table, keys in _KEYS.items():
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
        made = _make(table, is_partitioned=is_partitioned)
        op.execute(f"INSERT INTO {table} SELECT * FROM {table}_before")
        _take_over(table, made)
        op.execute(f"DROP TABLE {table}_before")
        for key in keys:
            op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {key.format(more=more)}")
    for index in _INDEXES:
        op.execute(f"CREATE INDEX {index}")


def _make(table: str, *, is_partitioned: bool) -> list[str]:
    """Make an empty table with the columns of the former one; return what was made."""
    told = "INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMPRESSION"
    by = " PARTITION BY HASH (pseudonym)" if is_partitioned else ""
    op.execute(f"CREATE TABLE {table} (LIKE {table}_before {told}){by}")
    parts = [f"{table}_p{number:02}" for number in range(_N_PARTITIONS if is_partitioned else 0)]
    for number, part in enumerate(parts):
        bound = f"WITH (MODULUS {_N_PARTITIONS}, REMAINDER {number})"
        op.execute(f"CREATE TABLE {part} PARTITION OF {table} FOR VALUES {bound}")
    # LIKE leaves these out, and PostgreSQL would keep common values where nothing removes them.
    for column in _selected(
        "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:name AS regclass)"
        " AND attnum > 0 AND NOT attisdropped AND attstattarget = 0",
        f"{table}_before",
    ):
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")
    return [table, *parts]


def _take_over(table: str, made: list[str]) -> None:
    """Give the new table to the owner of the former one, with its sequence."""
    (owner,) = _selected(
        "SELECT quote_ident(rolname) FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner"
        " WHERE pg_class.oid = CAST(:name AS regclass)",
        f"{table}_before",
    )
    if owner not in _selected("SELECT quote_ident(current_user)"):
        # To create: only to be made an owner, as ``app.adapters.db.roles`` does.
        op.execute(f"GRANT CREATE ON SCHEMA public TO {owner}")
        for name in made:
            op.execute(f"ALTER TABLE {name} OWNER TO {owner}")
        op.execute(f"REVOKE CREATE ON SCHEMA public FROM {owner}")
    if table == "interaction":
        column = f"{table}.{table}_id"
        op.execute(f"ALTER SEQUENCE {table}_{table}_id_seq OWNED BY {column}")


def _selected(statement: str, name: str | None = None) -> list[str]:
    told = {} if name is None else {"name": name}
    return list(op.get_bind().execute(sa.text(statement), told).scalars())
