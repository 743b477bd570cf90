"""Compares the audit log with the transitions that the database recorded, request by request.

Each transition is recorded twice: as a leaf, by the service in the same transaction, and as a row,
by a trigger of the database. Changing a state behind the service's back writes only the row;
inventing a leaf writes only the leaf.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.audit.entries import LeafKind, StoredLeaf
from app.domain.erasure.request import STATE_OF_LEAF, TRANSITIONS, RequestState
from app.domain.models import RequestId


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a request's state, as the database recorded it; source None for the insert."""

    source: str | None
    target: str


@dataclass(frozen=True, slots=True)
class RequestRow:
    """What the row of a request says now. Plain words: it may have been tampered with."""

    state: str
    scope_kind: str
    ground: str | None
    received_at: datetime
    due_at: datetime
    completed_at: datetime | None
    is_certified: bool
    n_tombstones: int


@dataclass(frozen=True, slots=True)
class Account:
    """All that is kept of one request, each in its order; ``row`` None where there is none."""

    request_id: RequestId
    row: RequestRow | None
    moves: Sequence[Transition]
    leaves: Sequence[StoredLeaf]


@dataclass(frozen=True, slots=True)
class _LeafStatement:
    """What a leaf says, ``state`` None where it tells of no move."""

    seq: int
    kind: str
    at: datetime
    payload: Mapping[str, Any]
    state: RequestState | None


def contradictions(account: Account) -> Iterator[str]:
    """Yield, in one sentence each, what the accounts of a request say against each other."""
    name = f"request {account.request_id}"
    told = []
    for leaf in account.leaves:
        read = _read(leaf, request_id=account.request_id)
        if read is None:
            yield f"{name}: leaf {leaf.seq} is filed under it, and is not about it"
        else:
            told.append(read)
    yield from (f"{name}: {problem}" for problem in _moves_and_leaves(account.moves, told))
    yield from (f"{name}: {problem}" for problem in _chain(account.moves))
    yield from (f"{name}: {problem}" for problem in _row_and_leaves(account, told))


def _read(leaf: StoredLeaf, *, request_id: RequestId) -> _LeafStatement | None:
    """Read a leaf's body; None where it is not one of this request, or none at all."""
    try:
        body = json.loads(leaf.body)
        if body["request_id"] != request_id:
            return None
        kind = LeafKind(body["kind"])
        at = datetime.fromisoformat(body["at"])
        return _LeafStatement(leaf.seq, kind, at, dict(body["payload"]), STATE_OF_LEAF.get(kind))
    except (ValueError, TypeError, KeyError):
        return None


def _moves_and_leaves(moves: Sequence[Transition], told: Sequence[_LeafStatement]) -> Iterator[str]:
    moved = [move.target for move in moves]
    said = [one.state.value for one in told if one.state is not None]
    if moved == said:
        return
    silent, invented = Counter(moved) - Counter(said), Counter(said) - Counter(moved)
    for state, n in silent.items():
        yield f"it was moved to {state}, and {_leaves_lack(n)}"
    for state, n in invented.items():
        yield f"{_leaves_claim(n)} that it became {state}, and the database never moved it there"
    if not silent and not invented:
        yield "the leaves tell of its moves in another order than they were made"


def _leaves_lack(n: int) -> str:
    return "no leaf says so" if n == 1 else f"{n} leaves that should say so are missing"


def _leaves_claim(n: int) -> str:
    return "a leaf says" if n == 1 else f"{n} leaves say"


def _chain(moves: Sequence[Transition]) -> Iterator[str]:
    """Check that each transition is legal and begins in the state where the last one ended."""
    before: str | None = None
    for move in moves:
        if move.source != before:
            yield f"it was in {before}, and the next move began in {move.source}"
        elif (move.source, move.target) not in TRANSITIONS:
            yield f"it was moved from {move.source} to {move.target}, which is no legal move"
        before = move.target


def _row_and_leaves(account: Account, told: Sequence[_LeafStatement]) -> Iterator[str]:
    row = account.row
    if row is None:
        yield "its row is gone"
        return
    if account.moves and row.state != account.moves[-1].target:
        yield f"its row says {row.state}, and its last move was to {account.moves[-1].target}"
    received = [one for one in told if one.kind == LeafKind.FORGET_RECEIVED]
    if len(received) != 1:
        yield f"{len(received)} leaves say that it was received"
        return
    for fact, said, stands in _facts(row, told, received=received[0]):
        if said != stands:
            yield f"its row and its leaves do not agree on {fact}"
    if row.is_certified != (row.state == RequestState.COMPLETED):
        yield "it is completed without a certificate, or certified without being completed"


def _facts(
    row: RequestRow, told: Sequence[_LeafStatement], *, received: _LeafStatement
) -> Iterator[tuple[str, object, object]]:
    """Yield facts that both a leaf and the row state: name, what the leaf says, the row's."""
    due = [one.payload.get("due_at") for one in told if "due_at" in one.payload]
    ended = [one.at for one in told if one.state is RequestState.COMPLETED]
    grounds = [one.payload.get("ground") for one in told if one.state is RequestState.REJECTED]
    yield "when it was received", received.at, row.received_at
    yield "when it is due", due[-1] if due else None, row.due_at.isoformat()
    yield "when it was completed", ended[-1] if ended else None, row.completed_at
    left = [one.payload["n_tombstones"] for one in told if "n_tombstones" in one.payload]
    if left and row.state != RequestState.REJECTED:
        yield "its tombstones", left[0], row.n_tombstones
    yield "its scope", received.payload.get("scope"), row.scope_kind
    yield "the ground of its rejection", grounds[-1] if grounds else None, row.ground
