"""Compares the audit log with the rows: every transition has exactly one leaf, and vice versa."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.domain.erasure.reconciliation import contradictions
from app.ports.persistence.unit_of_work import UnitsOfWork

_MAX_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What the comparison found.

    Args:
        n_requests: requests that have a row, a transition or a leaf.
        n_moves: transitions that the database recorded.
        n_contradicted: requests whose row, transitions and leaves disagree.
        problems: how they disagree, by request id; at most 20.
    """

    n_requests: int
    n_moves: int
    n_contradicted: int
    problems: tuple[str, ...]

    @property
    def is_consistent(self) -> bool:
        """Whether no request is contradicted."""
        return not self.n_contradicted


class ReconcileService:
    """Reconciles; at start-up, from the command line, through the API and from the console."""

    def __init__(self, *, uows: UnitsOfWork) -> None:
        self._uows = uows

    def check(self) -> Reconciliation:
        """Compare all requests in one snapshot, so that requests under way do not show."""
        n_requests = n_moves = n_contradicted = 0
        problems: list[str] = []
        with self._uows.read() as uow:
            for account in uow.accounts.all():
                n_requests += 1
                n_moves += len(account.moves)
                found = list(contradictions(account))
                n_contradicted += bool(found)
                problems += found[: _MAX_PROBLEMS - len(problems)]
        return Reconciliation(n_requests, n_moves, n_contradicted, tuple(problems))
