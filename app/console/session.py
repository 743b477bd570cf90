"""Console sessions: a signed cookie that every process can check; none stores more than its end.

A cookie is ``v2.<session id>.<key id>.<started>.<seen>.<HMAC-SHA-256>``. What signs it comes from
the pepper and the admin token, so every API process can check it, and a new token signs everybody
out. Whose session it is follows from the key: where that was revoked, it is nobody's.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from app.api.state import State

IDLE_S: Final = 30 * 60
"""Seconds without a request after which a session has ended."""
LONGEST_S: Final = 8 * 60 * 60
"""Seconds after which it has ended in any case: a working day."""
_RENEW_S: Final = 60
"""A cookie younger than this is not worth a new one."""
_COOKIE: Final = re.compile(
    r"v2\.(?P<session_id>[0-9a-f]{32})\.(?P<key_id>([0-9a-f]{12})?)"
    r"\.(?P<started>[0-9]{1,12})\.(?P<seen>[0-9]{1,12})\.(?P<mac>[0-9a-f]{64})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in member of staff.

    Args:
        session_id: 32 random hex digits.
        key_id: of the key that was signed in with; "" for the admin token of the settings.
        started: seconds since 1970.
        seen: seconds since 1970, of the request for which the cookie was made.
    """

    session_id: str
    key_id: str
    started: int
    seen: int

    def is_over(self, now: datetime) -> bool:
        """Whether it has ended; sessions dated in the future are rejected."""
        at = now.timestamp()
        is_idle = at - self.seen > IDLE_S or at - self.started > LONGEST_S
        return is_idle or self.seen - at > IDLE_S

    def last_until(self) -> datetime:
        """Return when its cookie is worth nothing in any case."""
        return datetime.fromtimestamp(self.started + LONGEST_S, UTC)

    def renewed(self, now: datetime) -> Session | None:
        """Return the session as seen now; None where the cookie is fresh enough."""
        at = int(now.timestamp())
        return replace(self, seen=at) if at - self.seen > _RENEW_S else None


@dataclass(frozen=True, slots=True)
class Sessions:
    """Makes and checks session cookies and form tokens.

    Args:
        key: 32 bytes, from ``Identity.console_key``.
    """

    key: bytes

    def start(self, now: datetime, *, key_id: str = "") -> Session:
        """Return a new session."""
        at = int(now.timestamp())
        return Session(secrets.token_hex(16), key_id, started=at, seen=at)

    def encode(self, session: Session) -> str:
        """Return the cookie's value."""
        fields = f"v2.{session.session_id}.{session.key_id}.{session.started}.{session.seen}"
        return f"{fields}.{self._mac('session', fields)}"

    def decode(self, value: str, *, now: datetime) -> Session | None:
        """Return the session of a cookie; None where it was not made here, or is over."""
        match = _COOKIE.fullmatch(value)
        if match is None:
            return None
        expected = self._mac("session", value.rpartition(".")[0])
        if not hmac.compare_digest(match["mac"], expected):
            return None
        numbers = int(match["started"]), int(match["seen"])
        session = Session(match["session_id"], match["key_id"], *numbers)
        return None if session.is_over(now) else session

    def form_token(self, holder: str) -> str:
        """Return the token that a form of this session, or visitor, must send back."""
        return self._mac("form", holder)

    def is_form_token(self, token: str, *, holder: str) -> bool:
        """Whether ``token`` is that holder's, compared in constant time."""
        return hmac.compare_digest(token.encode(), self.form_token(holder).encode())

    def _mac(self, purpose: str, content: str) -> str:
        message = f"{purpose}\n{content}".encode()
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()


def sessions_of(state: State) -> Sessions:
    """Return what makes and checks sessions; the same in every process."""
    return Sessions(state.container.identity.console_key(state.security.admin_token))
