"""The cache that several processes share."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis

from app.domain.errors import AccessRefusedError, DependencyUnavailableError, IntegrityError
from app.domain.models import Pseudonym

_PREFIX: Final = "lethe:cache:"
_EXPIRY: Final = struct.Struct(">d")
_MILLISECONDS: Final = 1_000


@contextmanager
def _vendor_errors() -> Iterator[None]:
    try:
        yield
    except redis.AuthenticationError as exc:
        raise AccessRefusedError("Redis refuses the password") from exc
    except redis.RedisError as exc:
        raise DependencyUnavailableError("Redis does not answer") from exc


def ping(client: redis.Redis) -> None:
    """Ask Redis whether it is well.

    Raises:
        DependencyUnavailableError: it does not answer.
    """
    with _vendor_errors():
        client.ping()


def require_noeviction(client: redis.Redis) -> None:
    """Check that Redis never drops a queue message to make room.

    Raises:
        IntegrityError: another ``maxmemory-policy``.
        DependencyUnavailableError: Redis does not answer.
    """
    with _vendor_errors():
        policy = client.config_get("maxmemory-policy")
    value = policy.get("maxmemory-policy") if isinstance(policy, dict) else None
    if value != "noeviction":
        raise IntegrityError("Redis must run with maxmemory-policy noeviction")


class RedisCache:
    """Keeps one hash a user, so that erasing a user is deleting one key.

    The hash lives as long as its longest entry; each value carries its own end, because a
    field cannot expire alone before Redis 7.4.
    """

    def __init__(self, client: redis.Redis) -> None:
        # redis-py's own annotations mix its synchronous and asynchronous answers.
        self._client: Any = client

    def get(self, pseudonym: Pseudonym, key: str) -> bytes | None:
        raw = self._call("HGET", _PREFIX + pseudonym, key)
        if not isinstance(raw, bytes):
            return None
        (expires_s,) = _EXPIRY.unpack_from(raw)
        return raw[_EXPIRY.size :] if expires_s > self._now_s() else None

    def put(self, pseudonym: Pseudonym, key: str, value: bytes, *, ttl_s: float) -> None:
        expires_s = self._now_s() + ttl_s
        with _vendor_errors():
            pipeline = self._client.pipeline(transaction=True)
            name = _PREFIX + pseudonym
            pipeline.execute_command("HSET", name, key, _EXPIRY.pack(expires_s) + value)
            pipeline.execute_command("PEXPIRE", name, int(ttl_s * _MILLISECONDS))
            pipeline.execute()

    def erase(self, pseudonym: Pseudonym) -> int:
        with _vendor_errors():
            pipeline = self._client.pipeline(transaction=True)
            pipeline.execute_command("HLEN", _PREFIX + pseudonym)
            pipeline.execute_command("DEL", _PREFIX + pseudonym)
            return int(pipeline.execute()[0])

    def count(self, pseudonym: Pseudonym) -> int:
        return int(self._call("HLEN", _PREFIX + pseudonym))

    def _now_s(self) -> float:
        """Return the server's time, the one clock that all processes share."""
        seconds, microseconds = self._call("TIME")
        return float(seconds) + float(microseconds) / 1e6

    def _call(self, *command: str) -> Any:  # noqa: ANN401 - what Redis answers is up to it
        with _vendor_errors():
            return self._client.execute_command(*command)
