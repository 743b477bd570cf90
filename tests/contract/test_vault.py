"""What every key vault does: in memory, SQLite, PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.adapters.db.engine import open_engine
from app.adapters.system.clock import SystemClock
from app.adapters.vault.kek import LocalKeyEncryption
from app.adapters.vault.key_cache import KeyCache
from app.adapters.vault.sql import SqlKeyVault
from app.adapters.vault.tables import data_key
from app.domain.errors import IntegrityError, KeyUnavailableError
from app.domain.models import Pseudonym
from app.ports.vault import KeyVault
from tests.contract.persistence.sql_rows import at_once
from tests.fakes_vault import FakeKeyVault
from tests.planted import a_user
from tests.servers.postgres import PostgresServer

KEK = "07" * 32
ANNA, BERT = a_user(), a_user()
OpenVault = Callable[..., SqlKeyVault]


DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def open_sql(url: str, kek: str = KEK, *, max_keys: int = 100) -> SqlKeyVault:
    return SqlKeyVault(
        open_engine(url, journal_mode="DELETE", lock_timeout_s=20),
        key_encryption=LocalKeyEncryption.parse(kek),
        cache=KeyCache(clock=SystemClock(), max_keys=max_keys, ttl_s=60),
    )


@contextmanager
def a_database(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'vault.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as url:
        yield url


@pytest.fixture(params=DATABASES)
def vault_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with a_database(request.param, request, tmp_path) as url:
        yield url


@pytest.fixture
def open_vault(vault_url: str) -> Iterator[OpenVault]:
    """Opens the same vault again and again, as processes do."""
    with ExitStack() as stack:

        def open_one(kek: str = KEK, *, max_keys: int = 100) -> SqlKeyVault:
            vault = open_sql(vault_url, kek, max_keys=max_keys)
            stack.callback(vault.close)
            vault.create()
            return vault

        yield open_one


@pytest.fixture(params=["fake", *DATABASES])
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyVault]:
    if request.param == "fake":
        yield FakeKeyVault()
        return
    with a_database(request.param, request, tmp_path) as url, closing(open_sql(url)) as vault:
        vault.create()
        yield vault


def test_a_key_is_made_once_for_each_user(vault: KeyVault) -> None:
    assert vault.get([ANNA]) == {}

    made = vault.ensure([ANNA, BERT])

    assert made.keys() == {ANNA, BERT}
    assert made[ANNA] != made[BERT]
    assert vault.ensure([BERT, ANNA]) == made
    assert vault.get([ANNA, a_user()]) == {ANNA: made[ANNA]}
    assert (vault.count(), vault.count(ANNA), vault.count(a_user())) == (2, 1, 0)


def test_nobody_asked_for_is_nobody_made(vault: KeyVault) -> None:
    assert vault.ensure([]) == {}
    assert vault.get([]) == {}
    assert vault.count() == 0


def test_a_shredded_key_is_gone_and_others_stay(vault: KeyVault) -> None:
    made = vault.ensure([ANNA, BERT])

    assert (vault.shred(ANNA), vault.shred(ANNA)) == (1, 0)
    vault.flush()

    assert vault.get([ANNA, BERT]) == {BERT: made[BERT]}
    assert vault.wrapped(ANNA) is None
    assert vault.count(ANNA) == 0
    assert vault.ensure([ANNA])[ANNA] != made[ANNA]


def test_a_thousand_users_get_keys_in_one_call(vault: KeyVault) -> None:
    users = [a_user() for _ in range(1_000)]

    assert len(vault.ensure(users)) == 1_000
    assert vault.count() == 1_000


def test_keys_outlive_the_process_and_lie_wrapped(open_vault: OpenVault) -> None:
    first = open_vault()
    made = first.ensure([ANNA])
    wrapped = first.wrapped(ANNA)
    first.close()

    assert open_vault().get([ANNA]) == made
    assert wrapped is not None
    assert made[ANNA].secret not in wrapped


def test_a_key_shredded_by_one_process_is_used_by_no_other(open_vault: OpenVault) -> None:
    one, other = open_vault(), open_vault()
    old = one.ensure([ANNA])
    assert other.get([ANNA]) == old  # in its memory from here on

    one.shred(ANNA)

    assert other.get([ANNA]) == {}
    new = one.ensure([ANNA])
    assert other.get([ANNA]) == other.ensure([ANNA]) == new != old


def test_processes_that_make_a_key_at_once_agree(open_vault: OpenVault) -> None:
    vaults = [open_vault() for _ in range(4)]
    users = [a_user() for _ in range(30)]

    made = at_once(4, lambda i: vaults[i].ensure(users[:: 1 if i % 2 else -1]))

    assert made[0] == made[1] == made[2] == made[3]
    assert vaults[0].count() == 30


def test_users_come_and_go_at_once(open_vault: OpenVault) -> None:
    vaults = [open_vault(max_keys=5) for _ in range(4)]
    mine = [[a_user() for _ in range(15)] for _ in vaults]

    def live(number: int) -> bool:
        vault, users = vaults[number], mine[number]
        made = vault.ensure(users)
        gone = all(vault.shred(user) == 1 for user in users[:10])
        return gone and vault.get(users) == {user: made[user] for user in users[10:]}

    assert at_once(4, live) == [True] * 4
    assert vaults[0].count() == 20


def test_a_vault_of_another_key_encryption_key_is_refused(open_vault: OpenVault) -> None:
    open_vault().ensure([ANNA])

    with pytest.raises(IntegrityError, match="another key-encryption key"):
        open_vault("08" * 32)


def test_a_key_encryption_key_is_replaced_while_the_service_runs(open_vault: OpenVault) -> None:
    old, cold = open_vault(max_keys=2_000), open_vault()
    users = [a_user() for _ in range(1_100)]
    made = old.ensure(users)
    before = old.wrapped(users[0])

    new = open_vault("08" * 32 + "," + KEK)
    assert new.rewrap() == 1_100
    assert new.rewrap() == 0

    assert new.wrapped(users[0]) != before
    assert open_vault("08" * 32).get(users) == made
    assert old.get(users) == made  # from its memory
    with pytest.raises(KeyUnavailableError, match="not here"):
        cold.get(users[:1])


def test_a_damaged_key_is_told_from_a_missing_one(open_vault: OpenVault, vault_url: str) -> None:
    made = open_vault().ensure([ANNA, BERT])
    engine = open_engine(vault_url, journal_mode="DELETE")
    with engine.begin() as connection:
        anna = sa.select(data_key.c.wrapped).where(data_key.c.pseudonym == ANNA)
        connection.execute(sa.update(data_key).values(wrapped=anna.scalar_subquery()))
    engine.dispose()
    fresh = open_vault()

    assert fresh.get([ANNA, a_user()]) == {ANNA: made[ANNA]}
    with pytest.raises(IntegrityError, match="damaged"):
        fresh.get([BERT])
    assert fresh.shred(BERT) == 1  # what cannot be read can still be destroyed


def test_nothing_of_a_shredded_key_is_left_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    vault = open_sql(f"sqlite:///{path}")
    vault.create()
    users = [a_user() for _ in range(3_000)]
    for start in range(0, 3_000, 100):
        vault.ensure(users[start : start + 100])
    gone = users[::10]
    wrapped = [vault.wrapped(user) for user in gone]
    before = path.read_bytes()
    assert all(user.encode() in before for user in gone)
    assert all(key is not None and key in before for key in wrapped)

    for user in gone:
        vault.shred(user)
    vault.flush()

    after = path.read_bytes()
    assert [user for user in gone if user.encode() in after] == []
    assert [key for key in wrapped if key is not None and key in after] == []
    assert not list(tmp_path.glob("vault.db-*"))
    assert vault.count() == 2_700
    vault.close()


@pytest.mark.postgres
def test_nothing_of_a_shredded_key_is_left_in_postgresql_s_tables(
    postgres_server: PostgresServer,
) -> None:
    if postgres_server.data is None:
        pytest.skip("the server's files are elsewhere")
    with postgres_server.database() as url:
        vault = open_sql(url)
        vault.create()
        users = [a_user() for _ in range(500)]
        vault.ensure(users)
        engine = open_engine(url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE data_key")  # whose samples would stay behind
            connection.exec_driver_sql("CHECKPOINT")
            needle = vault.wrapped(users[0])
            assert needle is not None
            assert _tables_with(postgres_server.data, needle)

            vault.shred(users[0])
            vault.flush()
            connection.exec_driver_sql("CHECKPOINT")

        assert _tables_with(postgres_server.data, needle) == []
        assert _tables_with(postgres_server.data, users[0].encode()) == []
        assert vault.count() == 499
        engine.dispose()
        vault.close()


def _tables_with(data: Path, needle: bytes) -> list[str]:
    """Search every file of every database but the write-ahead log."""
    files = [path for path in (data / "base").rglob("*") if path.is_file()]
    return [path.name for path in files if needle in path.read_bytes()]


def test_a_vault_that_is_taken_away_or_replaced_is_noticed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    vault = open_sql(f"sqlite:///{path}")
    vault.create()
    vault.ensure([ANNA])
    path.rename(tmp_path / "away.db")

    with pytest.raises(KeyUnavailableError, match="gone"):
        vault.get([ANNA])
    with pytest.raises(KeyUnavailableError, match="gone"):
        vault.ensure([a_user()])
    with pytest.raises(KeyUnavailableError, match="gone"):
        vault.shred(ANNA)
    path.write_bytes(b"")
    with pytest.raises(KeyUnavailableError, match="replaced"):
        vault.get([ANNA])
    path.unlink()
    (tmp_path / "away.db").rename(path)
    assert vault.get([ANNA]).keys() == {ANNA}
    vault.close()


def test_a_vault_that_does_not_answer_is_said_to_be_the_vault() -> None:
    vault = open_sql("postgresql://nobody:secret@127.0.0.1:1/vault")

    with pytest.raises(KeyUnavailableError, match="key vault") as caught:
        vault.create()

    assert "secret" not in str(caught.value)
    assert caught.value.code == "key_unavailable"


def test_a_pseudonym_is_looked_up_as_it_is(vault: KeyVault) -> None:
    odd = Pseudonym("' OR 1=1 --")
    vault.ensure([ANNA, odd])

    assert vault.shred(Pseudonym(secrets.token_hex(32))) == 0
    assert vault.shred(odd) == 1
    assert vault.get([ANNA, odd]).keys() == {ANNA}
