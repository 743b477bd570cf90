"""Compares the audit log with the rows: every transition has exactly one leaf, and vice versa."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from app.domain.erasure.reconciliation import contradictions
from app.ports.persistence.unit_of_work import UnitsOfWork
from app.services.audit.evidence import OutsideEvidence

_MAX_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What the comparison found.

    Args:
        n_requests: requests that have a row, a transition or a leaf.
        n_moves: transitions that the database recorded.
        n_contradicted: requests whose row, transitions and leaves disagree.
        problems: how they disagree, by request id, and what contradicts the rows from outside;
            at most 20 of each.
    """

    n_requests: int
    n_moves: int
    n_contradicted: int
    problems: tuple[str, ...]

    @property
    def is_consistent(self) -> bool:
        """Whether nothing is contradicted."""
        return not self.problems


class ReconcileService:
    """Reconciles; at start-up, from the command line, through the API and from the console.

    Args:
        outside: what keys and ledger say; None to compare within the database alone.
    """

    def __init__(self, *, uows: UnitsOfWork, outside: OutsideEvidence | None = None) -> None:
        self._uows = uows
        self._outside = outside

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
            if self._outside is not None:
                problems += islice(self._outside.problems(uow), _MAX_PROBLEMS)
        return Reconciliation(n_requests, n_moves, n_contradicted, tuple(problems))
