"""The shapes of requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.domain.erasure.request import Extension, Ground, Reason, RequestState
from app.domain.erasure.residue import NeedleKind
from app.domain.models import AttributeValue, Kind
from app.domain.recommendation.topic import MatchedBy
from app.services.administration.proof import Claim
from app.services.erasure.scope_resolution import PreviewEntry
from app.services.ingestion.outcomes import Outcome
from app.wire.documents import Certificate, Receipt
from app.wire.ids import UserId
from app.wire.schemas import In

Count = Annotated[int, Field(ge=0)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
ErasureId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class Out(BaseModel):
    """What is handed out, read from the domain's value of the same shape."""

    model_config = ConfigDict(from_attributes=True, populate_by_name=True)


class EntryErrorOut(BaseModel):
    """An entry of a batch that was not stored."""

    index: Count = Field(description="Its place in the batch, from 0.")
    code: Outcome = Field(description="Why it was not.")


class IngestOut(BaseModel):
    """What became of a batch of interactions."""

    accepted: Count = Field(description="Interactions stored; a count.")
    duplicate: Count = Field(description="Interactions that were there already; a count.")
    updated: Count = Field(
        description="Interactions that replaced another content of their event; a count."
    )
    refused: Count = Field(
        description="Interactions that an erasure, an objection or an unwanted topic covers, or "
        "that `on_error=skip` left out; a count."
    )
    errors: list[EntryErrorOut] = Field(
        description="Which entries were not stored, and why; duplicates among them."
    )


class ItemsOut(BaseModel):
    """What became of a batch of items."""

    received: Count = Field(description="Items sent; a count.")
    changed: Count = Field(description="Items that were new or differed; a count.")


class ItemOut(Out):
    """A catalogue entry."""

    item_id: str = Field(description="The caller's id of the item.")
    title: str = Field(description="As shown to people.")
    description: str = Field(description="What it is about; may be empty.")
    attributes: dict[str, AttributeValue] = Field(description="Flat facts.")
    available: bool = Field(description="Whether it may be recommended.")


class ItemPageOut(BaseModel):
    """A page of the catalogue, by item id."""

    items: list[ItemOut] = Field(description="Ascending by id.")
    next: str | None = Field(description="What `after` of the next page is; null on the last one.")


class PeriodOut(BaseModel):
    """What of a period is erased: ``to`` is at most the moment of the request."""

    start: datetime = Field(serialization_alias="from", description="First moment; UTC.")
    end: datetime = Field(serialization_alias="to", description="End, exclusive; UTC.")


class AcceptedOut(BaseModel):
    """An accepted erasure request; ``period`` is null for every other scope.

    ``capability`` opens its status and nothing else; ``receipt`` is signed, and its salt, which
    is nowhere else once the data are erased, shows whom receipt and certificate are about.
    """

    request_id: ErasureId = Field(description="Id of the erasure request; 32 random hex digits.")
    status: RequestState = Field(description="Where it stands.")
    scope: str = Field(description="Kind of its scope.")
    period: PeriodOut | None = Field(description="Its ends, of a period; else null.")
    n_records: Count | None = Field(
        description="Records that were held in the scope when it was received; 0: nothing was held "
        "under this id, so nothing is proved about anybody. Null where it was not counted."
    )
    requested_at: datetime = Field(description="When the person asked; UTC.")
    received_at: datetime = Field(description="When it was received; UTC.")
    due_at: datetime = Field(description="By when it has to be done; UTC.")
    status_url: str = Field(description="Address that tells how it stands.")
    capability: str = Field(description="Bearer token that opens this status and nothing else.")
    receipt: Receipt


class PreviewEntryOut(BaseModel):
    """A memory that an erasure would take; ``matched_by`` and ``nearness`` for topics only."""

    item_id: str | None = Field(description="Item it is about; null for a free-text memory.")
    title: str | None = Field(description="Title of that item.")
    kind: Kind = Field(description="What the user did.")
    occurred_at: datetime = Field(description="When; UTC.")
    matched_by: MatchedBy | None = Field(description="How it was found to be about the topic.")
    nearness: float | None = Field(description="Cosine between topic and item, -1 to 1.")

    @classmethod
    def from_domain(cls, one: PreviewEntry) -> Self:
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

    scope: str = Field(description="Kind of the scope.")
    period: PeriodOut | None = Field(description="Its ends, of a period; else null.")
    n_memories: Count = Field(description="Memories it would take; a count.")
    memories: list[PreviewEntryOut] = Field(description="The newest thousand of them.")


class SuppressionOut(Out):
    """A topic that the user does not want."""

    topic_id: Digest = Field(description="Id of the topic; 64 hex digits.")
    text: str = Field(description="The topic as the user said it.")


class StepOut(Out):
    """A finished step of an erasure."""

    step: str = Field(description="Name of the step.")
    store: str = Field(description="Store that it was about.")
    touched: Count = Field(description="Records erased or looked at; a count.")
    duration_ms: float = Field(ge=0, description="Milliseconds it took.")
    attempt: Count = Field(description="Attempt in which it was done; from 1.")
    finished_at: datetime = Field(description="When; UTC.")


class RequestOut(Out):
    """How an erasure request stands."""

    request_id: ErasureId = Field(description="Id of the erasure request; 32 random hex digits.")
    status: RequestState = Field(validation_alias="state", description="Where it stands.")
    subject_request_id: UUID | None = Field(
        description="The caller's own number of it, such as a ticket's."
    )
    scope: str = Field(validation_alias="scope_kind", description="Kind of its scope.")
    reason: Reason | None = Field(description="Why it was asked for.")
    ground: Ground | None = Field(description="Why it was refused.")
    n_records: Count | None = Field(
        description="Records that were held in the scope when it was received; 0: nothing was held "
        "under this id, so nothing is proved about anybody. Null where it was not counted."
    )
    requested_at: datetime = Field(
        validation_alias="asked_at", description="When the person asked; UTC."
    )
    received_at: datetime = Field(description="When it was received; UTC.")
    first_due_at: datetime = Field(description="When it was due before an extension; UTC.")
    due_at: datetime = Field(description="By when it has to be done; UTC.")
    extension: Extension | None = Field(description="Why the due date was moved.")
    told_at: datetime | None = Field(description="When the person was told of that; UTC.")
    updated_at: datetime = Field(description="When it last moved; UTC.")
    completed_at: datetime | None = Field(description="When it was completed; UTC.")
    attempts: Count = Field(description="Times that it was begun; a count.")
    error: str | None = Field(
        validation_alias="error_code", description="Code of what stopped the last attempt."
    )


class StatusOut(RequestOut):
    """The same with its journal, and the signed certificate once it is completed."""

    steps: list[StepOut] = Field(default=[], description="Its journal, oldest first.")
    certificate: Certificate | None = Field(
        default=None, description="Signed; null until the request is completed."
    )


class RequestsOut(BaseModel):
    """A page of requests."""

    requests: list[RequestOut] = Field(description="Newest first.")
    count_by_status: dict[RequestState, int] = Field(description="Requests in each status; counts.")


class AnswerCountOut(Out):
    """How often lists of one kind were answered."""

    scenario: str | None = Field(description="Preset of the lists; null without one.")
    variant: str = Field(description="What made the lists.")
    lists: Count = Field(description="Lists that were answered at all; a count.")
    by_kind: dict[Kind, int] = Field(description="Interactions with items of these lists; counts.")
    by_position: dict[int, int] = Field(description="The same by the item's place; counts.")


class AnswersOut(BaseModel):
    """How often lists were answered."""

    answers: list[AnswerCountOut] = Field(description="By scenario and variant.")


class ProveIn(In):
    """Whom to look for."""

    user: UserId


class DrillIn(In):
    """Whom an auditor has planted."""

    user: Annotated[UserId, Field(pattern="^lethe-drill-")] = Field(
        description="Begins with `lethe-drill-`: made up. Of nobody else is anything told."
    )


class NeedleOut(Out):
    """Bytes that prove, wherever they lie in a file, that something of the person is left."""

    kind: NeedleKind = Field(description="What of the person it is.")
    needle: Count = Field(description="Which of its kind; one has several forms.")
    hex: str = Field(pattern="^([0-9a-f]{2})+$", description="The bytes.")
    text: str | None = Field(description="The same, where they can be read; for `grep -F`.")


class NeedlesOut(Out):
    """How a made-up person lies on disk: in words that are sealed, and in numbers."""

    needles: list[NeedleOut] = Field(description="Each form of each needle.")


class CheckOut(Out):
    """One claim: how much was examined, in its own unit, and how much stands against it."""

    claim: Claim = Field(description="What is claimed.")
    holds: bool = Field(validation_alias="is_held", description="Nothing stands against it.")
    examined: Count = Field(description="What was looked at; in its own unit.")
    against: Count = Field(description="What stands against it; in the same unit.")


class ProofOut(Out):
    """Whether a user is to the service one it has never seen.

    ``state`` is the hash of what recommendations are made from, ``rebuilt`` that of a state built
    for this answer without the user; ``leaf`` the number of the audit leaf that records the check.
    """

    as_never_seen: bool = Field(
        validation_alias="is_as_never_seen", description="Every claim holds."
    )
    n_records: Count | None = Field(
        description="Records that erasures of everything under this id found; 0: nothing was ever "
        "held under this id. Null: there was no such erasure."
    )
    checks: list[CheckOut] = Field(description="One each claim.")
    state: Digest = Field(
        description="SHA-256 of what recommendations are made from; 64 hex digits."
    )
    rebuilt: Digest = Field(description="The same of a state built without the user.")
    leaf: Count = Field(validation_alias="seq", description="Number of the leaf about it.")


class LeafOut(BaseModel):
    """An entry of the audit log; ``body`` is what is hashed, byte for byte."""

    seq: Count = Field(description="Its number in the log, from 0.")
    leaf_hash: Digest = Field(description="RFC 9162 hash of the leaf; 64 hex digits.")
    body: str = Field(description="What is hashed, byte for byte: canonical JSON.")


class AuditOut(BaseModel):
    """A page of the audit log; ask again with ``after`` = ``next_after`` for the next."""

    leaves: list[LeafOut] = Field(description="In the order of the log.")
    size: Count = Field(description="Leaves the log holds, this read included; a count.")
    next_after: int | None = Field(
        description="What to send as `after` for the next page; null on the last."
    )
