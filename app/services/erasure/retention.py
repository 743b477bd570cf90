"""Erases what has been kept as long as the operator wants it, as if its users had asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from app.domain.erasure.request import Reason
from app.domain.erasure.scope import AllScope, EventsScope, Scope
from app.domain.models import EventKey, Kind, Pseudonym
from app.ports.clock import Clock
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.erasure.requests import ForgetCommand, ForgetService

_AT_ONCE: Final = 1_000
"""Most rows of a kind, and users, that one run looks at."""
_TOGETHER: Final = 50


class RetentionService:
    """Makes erasure requests of what is too old; the same worker carries them out.

    Whoever is under a legal hold, or has restricted their data (GDPR Art. 18), is left alone.

    Args:
        keeps: how long interactions of a kind are kept; a kind that is not in it, for ever.
        inactive: after how long without an interaction a user is erased; None for never.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        forget: ForgetService,
        clock: Clock,
        keeps: Mapping[Kind, timedelta],
        inactive: timedelta | None,
    ) -> None:
        self._uows = uows
        self._forget = forget
        self._clock = clock
        self._keeps = keeps
        self._inactive = inactive
        self._done_until: datetime | None = None

    def run(self) -> int:
        """Ask for the erasure of what is too old at the last midnight (UTC); return how often.

        By days, so that a user has one request a day and not one an event.

        Raises:
            DependencyUnavailableError: a store does not answer.
        """
        today = self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        if self._done_until == today or not (self._keeps or self._inactive):
            return 0
        scopes = self._expired(today)
        if self._inactive:
            with self._uows.read() as uow:
                users = uow.interactions.inactive(before=today - self._inactive, limit=_AT_ONCE)
            scopes |= dict.fromkeys(users, AllScope())
        if not scopes:
            self._done_until = today
        commands = [
            ForgetCommand(user, scope, reason=Reason.NO_LONGER_NEEDED, is_lapse=True)
            for user, scope in scopes.items()
        ]
        for start in range(0, len(commands), _TOGETHER):
            self._forget.accept_all(commands[start : start + _TOGETHER])
        return len(commands)

    def _expired(self, today: datetime) -> dict[Pseudonym, Scope]:
        keys: dict[Pseudonym, list[EventKey]] = defaultdict(list)
        for kind, kept in self._keeps.items():
            with self._uows.read() as uow:
                found = uow.interactions.expired(kind, before=today - kept, limit=_AT_ONCE)
            for user, key in found:
                keys[user].append(key)
        return {user: EventsScope(tuple(sorted(theirs)[:1_000])) for user, theirs in keys.items()}
