"""Named holders of keys: systems that call, and staff; what each may do, and who acts now."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

_TOKEN: Final = re.compile(r"lethe_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
"""What a holder may be called: it stands in the audit log for ever."""


class Scope(StrEnum):
    """What a key opens."""

    READ = "read"
    """Lists and items."""
    INGEST = "ingest"
    """Storing and deleting items, storing interactions."""
    FORGET = "forget"
    """What a person may ask for: erase, export, restrict, object."""
    AUDIT = "audit"
    """Staff: reading the log, requests and figures."""
    OPERATE = "operate"
    """Staff: acting on requests."""


SYSTEM: Final = frozenset({Scope.READ, Scope.INGEST, Scope.FORGET})
"""All that a calling system can be given; none of it is staff's."""
ROLES: Final[Mapping[str, frozenset[Scope]]] = {
    "auditor": frozenset({Scope.AUDIT}),
    "operator": frozenset({Scope.AUDIT, Scope.OPERATE}),
}
"""What staff can be."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a key: a system, or a member of staff; never a user.

    Args:
        key_id: of the key; "" where the settings hold the token.
    """

    name: str
    scopes: frozenset[Scope]
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key as it is kept: without its secret.

    Args:
        digest: keyed hash of the token, 64 hex digits.
        ends_at: from when on it opens nothing; None for no end.
    """

    holder: Holder
    digest: str = field(repr=False)
    created_at: datetime
    ends_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether it opens nothing any more."""
        return self.ends_at is not None and self.ends_at <= now


def new_token() -> tuple[str, str]:
    """Return the id of a new key, and the token with 256 random bits that is shown once."""
    key_id = secrets.token_hex(6)
    return key_id, f"lethe_{key_id}_{secrets.token_urlsafe(32)}"


def key_id_of(token: str) -> str | None:
    """Return which key a token claims to be; None for one of another form."""
    match = _TOKEN.fullmatch(token)
    return match[1] if match else None


actor: Final[ContextVar[str | None]] = ContextVar("actor", default=None)
"""Name of the member of staff for whom the present request is answered: every leaf that it leaves
says so, whichever service leaves it."""
