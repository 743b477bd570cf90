"""The role that the service connects as: no owner of the log, so that it can only read and append.

Rows it owns, because an erasure writes their tables anew (``VACUUM FULL``). PostgreSQL only.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from app.adapters.db.engine import open_engine
from app.domain.errors import FieldError, InvalidInputError

_log = structlog.get_logger(__name__)
_READ: Final = frozenset({"alembic_version"})
_APPENDED_TO: Final = frozenset({"audit_leaf", "audit_node", "audit_checkpoint", "erasure_move"})
_RETIRES_THE_LOG: Final = (
    "GRANT pg_checkpoint TO {role}",
    "GRANT EXECUTE ON FUNCTION pg_switch_wal(), pg_ls_waldir() TO {role}",
)


def hand_over(owner_url: str, *, service_url: str) -> None:
    """Give the role of ``service_url`` what the service needs, and nothing else. Idempotent.

    The role is made if it is not there, and gets the password of the address.

    Raises:
        InvalidInputError: it is the owner itself.
        DependencyUnavailableError: the database does not answer, or refuses the owner.
    """
    service = make_url(service_url)
    if service.username in {None, make_url(owner_url).username}:
        raise InvalidInputError(FieldError("LETHE_DATABASE__URL", "names the owner's role"))
    engine = open_engine(owner_url, pool_size=1)
    try:
        with engine.begin() as connection:
            role = _made(connection, str(service.username), str(service.password or ""))
            for statement in _statements(connection, role):
                connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


def _made(connection: Connection, name: str, password: str) -> str:
    """Make the role, or set its password; return its name in quotes."""
    role = connection.dialect.identifier_preparer.quote_identifier(name)
    driver: Any = connection.connection.driver_connection
    # What the server keeps of a password; the password itself never leaves this process.
    kept = driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    known = sa.text("SELECT true FROM pg_roles WHERE rolname = :name")
    verb = "ALTER" if connection.execute(known, {"name": name}).scalar() else "CREATE"
    connection.exec_driver_sql(f"{verb} ROLE {role} LOGIN PASSWORD '{kept.decode()}'")
    return role


def _statements(connection: Connection, role: str) -> list[str]:
    tables = sorted(sa.inspect(connection).get_table_names())
    owned = [name for name in tables if name not in _READ | _APPENDED_TO]
    appended, read = ", ".join(sorted(_APPENDED_TO)), ", ".join(sorted(_READ))
    is_superuser = connection.exec_driver_sql("SELECT current_setting('is_superuser')").scalar()
    if is_superuser != "on":
        _log.warning("write_ahead_log_not_granted", advice="grant pg_checkpoint as a superuser")
    return [
        f"GRANT {role} TO CURRENT_USER",
        f"GRANT USAGE, CREATE ON SCHEMA public TO {role}",  # to create: only to be made an owner
        *(f"ALTER TABLE {name} OWNER TO {role}" for name in owned),
        f"REVOKE CREATE ON SCHEMA public FROM {role}",
        f"REVOKE ALL ON {appended}, {read} FROM {role}",
        f"GRANT SELECT, INSERT ON {appended} TO {role}",
        f"GRANT SELECT ON {read} TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        *(one.format(role=role) for one in _RETIRES_THE_LOG if is_superuser == "on"),
    ]
