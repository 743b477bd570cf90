"""Why a server does not do what it is asked, told apart: away, busy, or refusing us."""

from __future__ import annotations

import psycopg
import pytest
import redis
from sqlalchemy.engine import make_url

from app.adapters.cache.redis import ping
from app.adapters.db.engine import open_engine
from app.domain.errors import AccessRefusedError, BusyError, DependencyUnavailableError
from tests.servers.ports import free_port
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer


def _ask(url: str, statement: str = "SELECT 1") -> None:
    engine = open_engine(url, lock_timeout_s=0.2)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


def test_a_wrong_password_is_an_access_that_is_refused(postgres_server: PostgresServer) -> None:
    wrong = make_url(postgres_server.url).set(password="wrong")

    with pytest.raises(AccessRefusedError) as told:
        _ask(wrong.render_as_string(hide_password=False))

    assert "wrong" not in str(told.value)


def test_a_lock_that_somebody_holds_is_busy(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as url, psycopg.connect(url) as holder:
        holder.execute("CREATE TABLE one (n int)")
        holder.commit()
        holder.execute("LOCK TABLE one")

        with pytest.raises(BusyError):
            _ask(url, "SELECT * FROM one")


def test_a_server_that_is_away_is_neither(postgres_server: PostgresServer) -> None:
    away = make_url(postgres_server.url).set(port=free_port())

    with pytest.raises(DependencyUnavailableError) as told:
        _ask(away.render_as_string(hide_password=False))

    assert type(told.value) is DependencyUnavailableError


def test_a_wrong_password_of_redis_is_refused_too(redis_server: RedisServer) -> None:
    client = redis.Redis.from_url(redis_server.url)
    try:
        client.config_set("requirepass", "right")
        stranger = redis.Redis.from_url(redis_server.url, password="wrong")
        with pytest.raises(AccessRefusedError):
            ping(stranger)
        stranger.close()
    finally:
        owner = redis.Redis.from_url(redis_server.url, password="right")
        owner.config_set("requirepass", "")
        owner.close()
        client.close()
