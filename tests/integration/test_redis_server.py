from __future__ import annotations

import pytest
import redis

from tests.servers.redis import RedisServer, running_redis, started_redis


@pytest.fixture
def client(redis_server: RedisServer) -> redis.Redis:
    return redis.Redis.from_url(redis_server.database(15))


def test_nothing_is_evicted_and_nothing_kept_on_disk(client: redis.Redis) -> None:
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.config_get("save") == {"save": ""}
    assert client.config_get("appendonly") == {"appendonly": "no"}


def test_configured_server_is_used_when_it_answers(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LETHE_TEST_REDIS_URL", redis_server.url)

    with running_redis() as found:
        assert found.url == redis_server.url


def test_another_is_started_when_the_configured_one_is_silent(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started_redis() as gone:
        monkeypatch.setenv("LETHE_TEST_REDIS_URL", gone.url)

    with running_redis() as found:
        assert found.url not in {gone.url, redis_server.url}
