"""The shapes of requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel

from app.api.scopes import In, ScopeIn, UserId
from app.domain.forgetting import ErasureRequest, Ground, Reason, RequestState, StepRecord
from app.domain.models import Item, Kind
from app.domain.prompt import ShownMemory
from app.domain.reasons import CitedReason
from app.domain.topic import MatchedBy
from app.services.personalise import Recommended
from app.services.recommend import Recommendation
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


class ItemRef(BaseModel):
    """An item by id and title."""

    item_id: str
    title: str

    @classmethod
    def of(cls, item: Item) -> Self:
        """Return the reference to ``item``."""
        return cls(item_id=item.item_id, title=item.title)


class CitedOut(BaseModel):
    """A memory that a reason rests on; one without an item is a free-text memory."""

    kind: Kind
    item_id: str | None
    title: str | None

    @classmethod
    def of(cls, memory: ShownMemory) -> Self:
        """Return the wire form."""
        item = memory.item
        return cls(
            kind=memory.kind,
            item_id=item.item_id if item else None,
            title=item.title if item else None,
        )


class ReasonOut(BaseModel):
    """A sentence of the LLM's, and the memories it rests on, at least one."""

    text: str
    cites: list[CitedOut]

    @classmethod
    def of(cls, reason: CitedReason) -> Self:
        """Return the wire form."""
        return cls(text=reason.text, cites=[CitedOut.of(memory) for memory in reason.cites])


class RecommendedOut(ItemRef):
    """A recommended item: ``score`` in (0, 1], ``because`` the memories that speak for it.

    ``reason`` is null unless ``explain`` was asked for and the LLM gave one.
    """

    score: float
    because: list[ItemRef]
    reason: ReasonOut | None

    @classmethod
    def from_domain(cls, one: Recommended) -> Self:
        """Return the wire form."""
        return cls(
            item_id=one.item.item_id,
            title=one.item.title,
            score=one.score,
            because=[ItemRef.of(item) for item in one.because],
            reason=ReasonOut.of(one.reason) if one.reason else None,
        )


class RecommendOut(BaseModel):
    """A recommendation.

    ``prompt_id`` names the wording that the LLM ranked under: language, version, first digits of
    the template's SHA-256. It is null where no LLM ranked.
    """

    user: str
    items: list[RecommendedOut]
    ranked_by: Literal["llm", "retrieval", "popularity"]
    personalised: bool
    degraded: bool
    epoch: int
    prompt_id: str | None
    timings_ms: dict[str, float]

    @classmethod
    def from_domain(cls, answer: Recommendation, *, user: str) -> Self:
        """Return the wire form."""
        return cls(
            user=user,
            items=[RecommendedOut.from_domain(one) for one in answer.items],
            ranked_by=answer.ranked_by.value,
            personalised=answer.is_personalised,
            degraded=answer.is_degraded,
            epoch=answer.epoch,
            prompt_id=answer.prompt_id,
            timings_ms=answer.timings_ms,
        )


class IngestOut(BaseModel):
    """What became of a batch of interactions."""

    accepted: int
    duplicate: int
    refused: int


class ItemsOut(BaseModel):
    """What became of a batch of items."""

    received: int
    changed: int


class AcceptedOut(BaseModel):
    """An accepted erasure request.

    ``capability`` opens its status and nothing else; ``receipt`` is signed, and its salt, which
    is nowhere else once the data are erased, shows whom receipt and certificate are about.
    """

    request_id: str
    status: RequestState
    scope: str
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
