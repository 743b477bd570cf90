"""Tells registered addresses of each change of a request's state (GDPR Art. 19).

The audit log is the outbox: a change and its leaf are one transaction, leaves have no gaps, and
all that is kept of an address is how far it has been told of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import structlog

from app.domain.audit.entries import Leaf, StoredLeaf
from app.domain.erasure.request import ErasureRequest
from app.domain.erasure.scope import CORRECTION
from app.domain.erasure.webhook import SIGNATURE, TOLD, callback, signature
from app.domain.errors import AppError
from app.ports.clock import Clock
from app.ports.persistence.deliveries import DeadLetter, Delivery
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.ports.webhook import WebhookSender

_log = structlog.get_logger(__name__)
_LEASE: Final = timedelta(minutes=5)
_PER_ROUND: Final = 50
"""Leaves that an address is told of in one round, which has to end within the lease."""
_MOST_ATTEMPTS: Final = 12
_LONGEST: Final = timedelta(hours=6)
_MOST_DEAD: Final = 100


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """Who is told, and how.

    Args:
        secret: signs; shared with the receivers.
        base_url: where callers reach the service.
    """

    urls: Sequence[str] = ()
    secret: bytes = field(default=b"", repr=False)
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class TargetState:
    """How far an address has been told; ``n_behind`` counts leaves, of which few are told."""

    url: str
    n_behind: int
    attempts: int
    error_code: str | None
    dead: Sequence[DeadLetter]


class WebhookService:
    """Delivers in the order of the log, each leaf at least once; each failure doubles the pause."""

    def __init__(
        self, *, uows: UnitsOfWork, sender: WebhookSender, clock: Clock, config: WebhookConfig
    ) -> None:
        self._uows = uows
        self._sender = sender
        self._clock = clock
        self._config = config

    def deliver(self) -> int:
        """Tell each address what it has not been told; return how many calls were made.

        Raises:
            DependencyUnavailableError: the database does not answer.
        """
        return sum(map(self._deliver_to, self._config.urls))

    def _deliver_to(self, url: str) -> int:
        now = self._clock.now()
        with self._uows.write() as uow:
            begin = uow.audit.size()
            place = uow.deliveries.take(_key(url), begin=begin, now=now, until=now + _LEASE)
        if place is None:
            return 0
        with self._uows.read() as uow:
            leaves = uow.audit.page(
                after=place.next_seq - 1, limit=_PER_ROUND, kind=None, request_id=None
            )
        n_sent, pause = 0, timedelta(0)
        for leaf in leaves:
            try:
                n_sent += self._tell(url, leaf)
            except AppError as error:
                place = replace(place, attempts=place.attempts + 1, error_code=error.code)
                pause = min(timedelta(seconds=2**place.attempts), _LONGEST)
                _log.warning("webhook_failed", seq=leaf.seq, attempts=place.attempts)
                if place.attempts < _MOST_ATTEMPTS:
                    break
                self._bury(place, leaf)
            place = Delivery(place.target, leaf.seq + 1, attempts=0, error_code=None)
        with self._uows.write() as uow:
            uow.deliveries.put_back(place, not_before=self._clock.now() + pause)
        return n_sent

    def _tell(self, url: str, stored: StoredLeaf) -> bool:
        """Tell of a leaf, if it is one to be told; return whether."""
        told = self._told(stored)
        if told is None:
            return False
        leaf, request = told
        body = callback(
            request, leaf.kind, seq=stored.seq, at=leaf.at, base_url=self._config.base_url
        )
        now = self._clock.now()
        signed = {SIGNATURE: signature(body, at=now, secret=self._config.secret)}
        self._sender.send(url, body, headers={"Content-Type": "application/json"} | signed)
        return True

    def _told(self, stored: StoredLeaf) -> tuple[Leaf, ErasureRequest] | None:
        if json.loads(stored.body)["kind"] not in TOLD:
            return None
        leaf = Leaf.parse(stored.body)
        with self._uows.read() as uow:
            request = uow.requests.get(leaf.request_id) if leaf.request_id else None
        # A restore may have lost it; a correction is no request of a person.
        is_told = request is not None and request.scope_kind != CORRECTION
        return (leaf, request) if request is not None and is_told else None

    def _bury(self, place: Delivery, stored: StoredLeaf) -> None:
        leaf = Leaf.parse(stored.body)
        at = self._clock.now()
        letter = DeadLetter(place.target, stored.seq, leaf.request_id or "", leaf.kind.value, at)
        with self._uows.write() as uow:
            uow.deliveries.bury(letter)
        _log.error("webhook_given_up", seq=stored.seq, request_id=leaf.request_id)

    def targets(self) -> list[TargetState]:
        """Return how far each address has been told, and what it was not told."""
        with self._uows.read() as uow:
            size = uow.audit.size()
            places = {one.target: one for one in uow.deliveries.all()}
            dead = uow.deliveries.dead(limit=_MOST_DEAD)
        return [self._state(url, places.get(_key(url)), dead, size) for url in self._config.urls]

    @staticmethod
    def _state(
        url: str, place: Delivery | None, dead: Sequence[DeadLetter], size: int
    ) -> TargetState:
        place = place or Delivery(_key(url), size, attempts=0, error_code=None)
        theirs = [one for one in dead if one.target == place.target]
        return TargetState(url, size - place.next_seq, place.attempts, place.error_code, theirs)


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()
