"""Keys of calling systems and of staff: made, rotated, revoked, recognised."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from app.domain.access import NAME, AccessKey, Holder, Scope, key_id_of, new_token
from app.domain.audit.entries import Leaf, LeafKind
from app.domain.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from app.domain.privacy.pseudonyms import Identity
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork

KEPT: Final = timedelta(seconds=5)
"""How long a process believes the keys that it has read: until then a revoked one may open."""


class AccessService:
    """Only keyed hashes of tokens are kept; a token is told once, to whoever has it made."""

    def __init__(self, *, uows: UnitsOfWork, identity: Identity, clock: Clock) -> None:
        self._uows = uows
        self._identity = identity
        self._clock = clock
        self._known: tuple[datetime, Mapping[str, AccessKey]] | None = None

    def create(self, name: str, scopes: frozenset[Scope]) -> str:
        """Make the first key of a holder; return its token, which nothing can tell again.

        Raises:
            InvalidInputError: the name has another form than names have.
            ConflictError: the name has a key.
        """
        if not NAME.fullmatch(name):
            message = "1 to 64 of a-z, 0-9, '.', '_' and '-', and no sign first"
            raise InvalidInputError(FieldError("name", message))
        with self._changing() as uow:
            if self._of(uow, name):
                raise ConflictError("this name has a key; rotate it, or revoke it first")
            return self._add(uow, Holder(name, scopes))

    def rotate(self, name: str, *, keep_old: timedelta) -> str:
        """Make a holder's next key, with the same scopes; return its token.

        Args:
            name: whose.
            keep_old: how long the present key goes on opening what it opens.

        Raises:
            NotFoundError: nobody of this name has a key.
        """
        with self._changing() as uow:
            holder = self._require(uow, name)[-1].holder
            uow.access.end(name, at=self._clock.now() + keep_old)
            return self._add(uow, holder)

    def revoke(self, name: str) -> int:
        """End every key of a holder now; return how many.

        Raises:
            NotFoundError: nobody of this name has a key.
        """
        with self._changing() as uow:
            keys = self._require(uow, name)
            now = self._clock.now()
            uow.access.end(name, at=now)
            uow.audit.append([_leaf(LeafKind.ACCESS_ENDED, one.holder, at=now) for one in keys])
            return len(keys)

    def all(self) -> Sequence[AccessKey]:
        """Return every key, those that are over included, by name."""
        with self._uows.read() as uow:
            return uow.access.all()

    def holder_of(self, token: str) -> Holder | None:
        """Return who holds a token; None for every other one.

        Raises:
            DependencyUnavailableError: the database does not answer.
        """
        key_id = key_id_of(token)
        key = None if key_id is None else self._live(key_id)
        if key is None or not hmac.compare_digest(key.digest, self._identity.access_digest(token)):
            return None
        return key.holder

    def holder(self, key_id: str) -> Holder | None:
        """Return who holds the key of that id; None where it is over."""
        key = self._live(key_id)
        return None if key is None else key.holder

    def end_session(self, session_id: str, *, until: datetime) -> None:
        """End a session of the console, in every process; ``until`` it would have ended anyway."""
        with self._uows.write() as uow:
            uow.access.end_session(session_id, at=self._clock.now(), until=until)

    def has_ended(self, session_id: str) -> bool:
        """Whether somebody signed out of the session."""
        with self._uows.read() as uow:
            return uow.access.has_ended(session_id)

    @contextmanager
    def _changing(self) -> Iterator[UnitOfWork]:
        """Open a transaction after which this process reads the keys anew."""
        with self._uows.write() as uow:
            yield uow
        self._known = None

    def _live(self, key_id: str) -> AccessKey | None:
        now = self._clock.now()
        if self._known is None or not timedelta(0) <= now - self._known[0] <= KEPT:
            self._known = now, {one.holder.key_id: one for one in self.all()}
        key = self._known[1].get(key_id)
        return None if key is None or key.is_over(now) else key

    def _of(self, uow: UnitOfWork, name: str) -> list[AccessKey]:
        now = self._clock.now()
        return [one for one in uow.access.all() if one.holder.name == name and not one.is_over(now)]

    def _require(self, uow: UnitOfWork, name: str) -> list[AccessKey]:
        keys = self._of(uow, name)
        if not keys:
            raise NotFoundError("nobody of this name has a key")
        return keys

    def _add(self, uow: UnitOfWork, holder: Holder) -> str:
        now = self._clock.now()
        key_id, token = new_token()
        held = replace(holder, key_id=key_id)
        digest = self._identity.access_digest(token)
        uow.access.add(AccessKey(held, digest=digest, created_at=now))
        uow.audit.append([_leaf(LeafKind.ACCESS_GRANTED, held, at=now)])
        return token


def _leaf(kind: LeafKind, holder: Holder, *, at: datetime) -> Leaf:
    scopes = " ".join(sorted(holder.scopes))
    return Leaf(kind, at, None, {"key": holder.key_id, "name": holder.name, "scopes": scopes})
