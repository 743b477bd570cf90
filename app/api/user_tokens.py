"""Users' own tokens: JWTs that somebody else signs for them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import jwt
import structlog
from pydantic import TypeAdapter, ValidationError

from app.ports.clock import Clock
from app.wire.ids import UserId

_log = structlog.get_logger(__name__)
_ALGORITHMS: Final = ["RS256", "ES256", "EdDSA"]
"""Asymmetric only: with a shared secret the verifier could sign."""
_USER: Final = TypeAdapter[str](UserId)
_FETCH_S: Final = 3.0
_FRESH_S: Final = 300.0
_AGAIN_S: Final = 30.0
_STALE_S: Final = 3_600.0


class KeySet:
    """The keys at a JWKS address: read every five minutes, in a thread of its own.

    No request reads them by itself, and none waits for longer than three seconds, which happens
    before the first reading and for a key that is not known. A key that is not known leads to a
    reading at most every thirty seconds, whatever tokens are sent. While the address does not
    answer, the keys that were read go on for an hour.
    """

    def __init__(self, url: str, *, clock: Clock) -> None:
        self._clock = clock
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=_FETCH_S)
        self._keys: dict[str, jwt.PyJWK] = {}
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None
        self._asked_at = self._read_at = float("-inf")

    def get(self, kid: str) -> jwt.PyJWK | None:
        """Return the key of that id."""
        reader = self._reading(kid)
        if reader is not None and kid not in self._keys:
            reader.join(_FETCH_S)
        is_stale = self._clock.monotonic_s() - self._read_at > _STALE_S
        return None if is_stale else self._keys.get(kid)

    def _reading(self, kid: str) -> threading.Thread | None:
        now = self._clock.monotonic_s()
        with self._lock:
            is_due = kid not in self._keys or now - self._read_at > _FRESH_S
            if self._reader is not None and self._reader.is_alive():
                return self._reader
            if not is_due or now - self._asked_at < _AGAIN_S:
                return None
            self._asked_at = now
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
            return self._reader

    def _read(self) -> None:
        try:
            self._keys = {str(key.key_id): key for key in self._client.get_signing_keys()}
            self._read_at = self._clock.monotonic_s()
        except (jwt.PyJWTError, ValueError, OSError) as error:
            _log.warning("jwks_unread", error=type(error).__name__)


@dataclass(frozen=True, slots=True)
class UserTokens:
    """What a user's token has to be.

    Args:
        public_key: PEM, for tokens without a key id; None refuses those.
        keys: for tokens with one; None reads no key id.
        issuer: what ``iss`` has to be; None for anything.
        audience: what ``aud`` has to hold; None refuses tokens that have one.
        max_life_s: seconds from now on at most until its end; None for any.
    """

    public_key: str | None = field(default=None, repr=False)
    keys: KeySet | None = None
    issuer: str | None = None
    audience: str | None = None
    max_life_s: float | None = None

    def user_of(self, token: str, *, at: datetime) -> str | None:
        """Return the user a token was signed for; None for every other token, however odd.

        Args:
            token: as sent.
            at: now.
        """
        if self.public_key is None and self.keys is None:
            return None
        try:
            key = self._key(token)
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                issuer=self.issuer,
                audience=self.audience,
                options={"require": ["exp", "sub", *self._required()]},
            )
            if self.max_life_s is not None and claims["exp"] - at.timestamp() > self.max_life_s:
                return None
            return _USER.validate_python(claims["sub"], strict=True)
        except (jwt.PyJWTError, ValidationError, ValueError, TypeError, ArithmeticError):
            # An end at infinity: PyJWT lets some of these through.
            return None
        except RecursionError:  # a header nested too deeply
            return None

    def _key(self, token: str) -> Any:  # noqa: ANN401 - as PyJWT takes it
        kid = jwt.get_unverified_header(token).get("kid") if self.keys is not None else None
        return self.keys.get(kid) if self.keys is not None and kid else self.public_key

    def _required(self) -> list[str]:
        wanted = {"iss": self.issuer, "aud": self.audience}
        return [name for name, value in wanted.items() if value is not None]
