"""The service's role erases and proves, and can take nothing back from the log."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from app.adapters.db import roles, schema
from app.adapters.db.engine import open_engine
from app.adapters.db.uow import SqlUnitsOfWork
from app.domain.erasure.scope import AllScope
from app.domain.errors import InvalidInputError
from app.services.erasure.requests import ForgetCommand
from app.settings_groups import DatabaseSettings
from tests.contract.persistence.sql_rows import add, interaction
from tests.servers.postgres import PostgresServer
from tests.world import catalogue, open_world

pytestmark = pytest.mark.postgres
_OWNERS = """
    SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
    WHERE relname ~ '^(interaction|subject)' AND relkind IN ('r', 'p', 'S', 'i', 'I')
"""
TAKEN_BACK = (
    "UPDATE audit_leaf SET body = body",
    "DELETE FROM erasure_move",
    "TRUNCATE audit_checkpoint",
    "ALTER TABLE audit_leaf DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_leaf_is_append_only ON audit_leaf",
    "DROP TABLE audit_node",
    "ALTER FUNCTION refuse_change() RENAME TO of_no_use",
    "CREATE TABLE of_its_own (n int)",
    "UPDATE alembic_version SET version_num = 'later'",
    "SET session_replication_role = replica",
)


@pytest.fixture
def addresses(postgres_server: PostgresServer) -> Iterator[tuple[str, str]]:
    """An empty database's address for its owner, and for a role of the service."""
    name = f"lethe_service_{secrets.token_hex(4)}"
    with postgres_server.database() as owner:
        url = make_url(owner).set(username=name, password=secrets.token_hex(16))
        schema.upgrade(owner)
        yield owner, url.render_as_string(hide_password=False)
    postgres_server.drop_role(name)


def test_the_service_erases_with_a_role_that_can_only_append_to_the_log(
    addresses: tuple[str, str], tmp_path: Path
) -> None:
    owner, service = addresses
    roles.hand_over(owner, service_url=service)
    roles.hand_over(owner, service_url=service)  # as each `lethe migrate` does

    with open_world(tmp_path, database=DatabaseSettings(url=SecretStr(service))) as world:
        world.container.catalogue.upsert(catalogue())
        for name in ("anna", "bert"):
            world.read(name, ["sea-00", "sea-01"])
        world.container.feed.start()
        command = ForgetCommand(pseudonym=world.user("anna"), scope=AllScope())
        assert world.erase(world.container.forget.accept(command).request.request_id)
        assert world.container.prove.prove(world.user("anna")).is_as_never_seen
        assert world.container.audit_check.check().is_whole
        assert world.container.reconcile.check().is_consistent
        world.container.feed.stop()

    with psycopg.connect(service, autocommit=True) as connection:
        for statement in TAKEN_BACK:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_tables_that_are_made_anew_stay_with_the_services_role(addresses: tuple[str, str]) -> None:
    """At once: a service that is running may go on, and is believed when it cleans."""
    owner, service = addresses
    schema.downgrade(owner, revision="0018")
    roles.hand_over(owner, service_url=service)
    schema.upgrade(owner, revision="0019")

    engine = open_engine(service)
    uows = SqlUnitsOfWork(engine)
    add(uows, interaction("anna", "1"))
    uows.scrub()
    with engine.connect() as connection:
        owners = connection.exec_driver_sql(_OWNERS).scalars().all()
    engine.dispose()
    assert owners == [make_url(service).username]
    with psycopg.connect(service) as connection, pytest.raises(psycopg.Error):
        connection.execute("CREATE TABLE of_its_own (n int)")


def test_the_owner_is_not_made_the_services_role(addresses: tuple[str, str]) -> None:
    owner, _ = addresses

    with pytest.raises(InvalidInputError, match="names the owner"):
        roles.hand_over(owner, service_url=owner)
