"""The shapes of requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from app.api.scopes import In, ScopeIn, UserId
from app.domain.forgetting import ErasureRequest, Ground, Reason, RequestState, StepRecord
from app.domain.models import Kind
from app.domain.topic import MatchedBy
from app.services.prove import Claim, Proof
from app.services.resolve import PreviewEntry


class ForgetIn(In):
    """An erasure request."""

    user: UserId
    scope: ScopeIn
    reason: Reason | None = None
    subject_request_id: UUID | None = None


class RejectIn(In):
    """Why a request is refused."""

    ground: Ground


class IngestOut(BaseModel):
    """What became of a batch of interactions."""

    accepted: int
    duplicate: int
    refused: int


class ItemsOut(BaseModel):
    """What became of a batch of items."""

    received: int
    changed: int


class PeriodOut(BaseModel):
    """What of a period is erased: ``to`` is at most the moment of the request."""

    start: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")


class AcceptedOut(BaseModel):
    """An accepted erasure request; ``period`` is null for every other scope.

    ``capability`` opens its status and nothing else; ``receipt`` is signed, and its salt, which
    is nowhere else once the data are erased, shows whom receipt and certificate are about.
    """

    request_id: str
    status: RequestState
    scope: str
    period: PeriodOut | None
    received_at: datetime
    due_at: datetime
    status_url: str
    capability: str
    receipt: dict[str, object]


class PreviewEntryOut(BaseModel):
    """A memory that an erasure would take; ``matched_by`` and ``nearness`` for topics only."""

    item_id: str | None
    title: str | None
    kind: Kind
    occurred_at: datetime
    matched_by: MatchedBy | None
    nearness: float | None

    @classmethod
    def from_domain(cls, one: PreviewEntry) -> Self:
        """Return the wire form."""
        return cls(
            item_id=one.entry.item_id,
            title=one.item.title if one.item else None,
            kind=one.entry.kind,
            occurred_at=one.entry.occurred_at,
            matched_by=one.match.by if one.match else None,
            nearness=round(one.match.nearness, 4) if one.match else None,
        )


class PreviewOut(BaseModel):
    """What an erasure would take: how many memories, and the newest thousand."""

    scope: str
    period: PeriodOut | None
    n_memories: int
    memories: list[PreviewEntryOut]


class SuppressionOut(BaseModel):
    """A topic that the user does not want."""

    topic_id: str
    text: str


class StepOut(BaseModel):
    """A finished step of an erasure."""

    step: str
    store: str
    touched: int
    duration_ms: float
    attempt: int
    finished_at: datetime

    @classmethod
    def from_domain(cls, record: StepRecord) -> Self:
        """Return the wire form."""
        return cls(
            step=record.step.value,
            store=record.store,
            touched=record.touched,
            duration_ms=record.duration_ms,
            attempt=record.attempt,
            finished_at=record.finished_at,
        )


class RequestOut(BaseModel):
    """How an erasure request stands."""

    request_id: str
    status: RequestState
    scope: str
    reason: Reason | None
    ground: Ground | None
    received_at: datetime
    due_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    attempts: int
    error: str | None

    @classmethod
    def from_domain(cls, request: ErasureRequest) -> Self:
        """Return the wire form."""
        return cls(
            request_id=request.request_id,
            status=request.state,
            scope=request.scope_kind,
            reason=request.reason,
            ground=request.ground,
            received_at=request.received_at,
            due_at=request.due_at,
            updated_at=request.updated_at,
            completed_at=request.completed_at,
            attempts=request.attempts,
            error=request.error_code,
        )


class StatusOut(RequestOut):
    """The same with its journal, and the signed certificate once it is completed."""

    steps: list[StepOut] = []
    certificate: dict[str, object] | None = None


class RequestsOut(BaseModel):
    """A page of requests."""

    requests: list[RequestOut]
    count_by_status: dict[RequestState, int]


class ProveIn(In):
    """Whom to look for."""

    user: UserId


class CheckOut(BaseModel):
    """One claim: how much was examined, in its own unit, and how much stands against it."""

    claim: Claim
    holds: bool
    examined: int
    against: int


class ProofOut(BaseModel):
    """Whether a user is to the service one it has never seen.

    ``state`` is the hash of what recommendations are made from, ``rebuilt`` that of a state built
    for this answer without the user; ``leaf`` the number of the audit leaf that records the check.
    """

    as_never_seen: bool
    checks: list[CheckOut]
    state: str
    rebuilt: str
    leaf: int

    @classmethod
    def from_domain(cls, proof: Proof) -> Self:
        """Return the wire form."""
        return cls(
            as_never_seen=proof.is_as_never_seen,
            checks=[
                CheckOut(
                    claim=one.claim, holds=one.is_held, examined=one.examined, against=one.against
                )
                for one in proof.checks
            ],
            state=proof.state,
            rebuilt=proof.rebuilt,
            leaf=proof.seq,
        )


class LeafOut(BaseModel):
    """An entry of the audit log; ``body`` is what is hashed, byte for byte."""

    seq: int
    leaf_hash: str
    body: str


class AuditOut(BaseModel):
    """A page of the audit log; ask again with ``after`` = ``next_after`` for the next."""

    leaves: list[LeafOut]
    size: int
    next_after: int | None
