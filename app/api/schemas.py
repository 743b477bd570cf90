"""The shapes of requests and answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from app.domain.forgetting import ErasureRequest, Ground, Reason, RequestState, StepRecord
from app.domain.identity import Identity
from app.domain.models import Item, ItemId, Pseudonym
from app.domain.scope import (
    AllScope,
    EventsScope,
    ItemsScope,
    PeriodScope,
    Scope,
    TopicScope,
)
from app.domain.wire import MAX_ID_CHARS, MAX_USER_CHARS
from app.services.personalise import Recommended
from app.services.recommend import Recommendation

_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
UserId = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_USER_CHARS, pattern=_PRINTABLE)
]
ItemIdIn = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_ID_CHARS, pattern=_PRINTABLE)
]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class AllScopeIn(_In):
    """Everything."""

    kind: Literal["all"]

    def to_domain(self, _identity: Identity, _pseudonym: Pseudonym) -> Scope:
        """Return the domain's value."""
        return AllScope()


class ItemsScopeIn(_In):
    """Every interaction with these items."""

    kind: Literal["items"]
    item_ids: Annotated[list[ItemIdIn], Field(min_length=1, max_length=1_000)]

    def to_domain(self, _identity: Identity, _pseudonym: Pseudonym) -> Scope:
        """Return the domain's value; order and repeats do not matter."""
        return ItemsScope(tuple(sorted({ItemId(item_id) for item_id in self.item_ids})))


class EventsScopeIn(_In):
    """These events, by the ids they were sent with."""

    kind: Literal["events"]
    event_ids: Annotated[list[UserId], Field(min_length=1, max_length=1_000)]

    def to_domain(self, identity: Identity, pseudonym: Pseudonym) -> Scope:
        """Return the domain's value; the ids become keys here and go no further."""
        keys = {identity.event_key(pseudonym, event_id) for event_id in self.event_ids}
        return EventsScope(tuple(sorted(keys)))


class PeriodScopeIn(_In):
    """Interactions that occurred from ``from`` (inclusive) to ``to`` (exclusive)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)
    kind: Literal["period"]
    start: Annotated[AwareDatetime, Field(alias="from")]
    end: Annotated[AwareDatetime, Field(alias="to")]

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.start >= self.end:
            message = "from must lie before to"
            raise ValueError(message)
        return self

    def to_domain(self, _identity: Identity, _pseudonym: Pseudonym) -> Scope:
        """Return the domain's value."""
        return PeriodScope(self.start.astimezone(UTC), self.end.astimezone(UTC))


class TopicScopeIn(_In):
    """Whatever is about this."""

    kind: Literal["topic"]
    text: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=2, max_length=256, pattern=_PRINTABLE),
    ]

    def to_domain(self, _identity: Identity, _pseudonym: Pseudonym) -> Scope:
        """Return the domain's value."""
        return TopicScope(self.text)


ScopeIn = Annotated[
    AllScopeIn | ItemsScopeIn | EventsScopeIn | PeriodScopeIn | TopicScopeIn,
    Field(discriminator="kind"),
]


class ForgetIn(_In):
    """An erasure request."""

    user: UserId
    scope: ScopeIn
    reason: Reason | None = None
    subject_request_id: UUID | None = None


class RejectIn(_In):
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


class RecommendedOut(ItemRef):
    """A recommended item: ``score`` in (0, 1], ``because`` the memories that speak for it."""

    score: float
    because: list[ItemRef]

    @classmethod
    def from_domain(cls, one: Recommended) -> Self:
        """Return the wire form."""
        return cls(
            item_id=one.item.item_id,
            title=one.item.title,
            score=one.score,
            because=[ItemRef.of(item) for item in one.because],
        )


class RecommendOut(BaseModel):
    """A recommendation."""

    user: str
    items: list[RecommendedOut]
    ranked_by: Literal["llm", "retrieval", "popularity"]
    personalised: bool
    degraded: bool
    epoch: int
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
    """An accepted erasure request; ``capability`` opens its status and nothing else."""

    request_id: str
    status: RequestState
    scope: str
    received_at: datetime
    due_at: datetime
    status_url: str
    capability: str


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
    """The same with its journal."""

    steps: list[StepOut] = []


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
