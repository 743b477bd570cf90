"""``/users/{user}/export``, ``…/restriction`` and ``…/objection``: GDPR Art. 15, 20, 18 and 21."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Self

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from app.api.auth import Caller, ForgetterOrUser
from app.api.bodies import BodyRoute
from app.api.errors import declared
from app.api.schemas import Count, Out, RequestOut, SuppressionOut
from app.api.state import State, StateDep, require_restored
from app.domain.models import HistoryEntry, Kind, RecordId, Right
from app.services.data_subjects.rights import Export
from app.wire.ids import UserId
from app.wire.schemas import In

router = APIRouter(
    prefix="/users", tags=["users"], dependencies=[Depends(require_restored)], route_class=BodyRoute
)
UserIn = Annotated[UserId, Path()]
RightIn = Annotated[Right, Path(description="Which right of the GDPR.")]
FORMAT: Final = "lethe-export/v1"
ABOUT: Final = {
    "purposes": "Recommending items to the user from what they did before.",
    "categories": "Interactions with items, own words about them, and what is computed from both.",
    "source": "The calling service, which sent each interaction.",
    "recipients": "The calling service; the configured language model, for the time of one answer.",
    "retention": "Until the user, or the calling service for them, asks to forget.",
    "decisions": "Items are ranked by co-occurrence, by nearness of content and, where one is "
    "configured, by a language model. The reasons are given with each recommended item.",
    "rights": "POST /forget, PUT /users/{user}/restriction, PUT /users/{user}/objection; and a "
    "complaint to a supervisory authority.",
}
"""What Art. 15(1) asks to be told, as far as this service knows it."""


class RightsOut(BaseModel):
    """Which rights a user has in force."""

    restriction: bool = Field(
        description="GDPR Art. 18: the data are kept, and nothing else is done with them."
    )
    objection: bool = Field(
        description="GDPR Art. 21: no profile is made, and nothing more is taken in."
    )

    @classmethod
    def of(cls, rights: frozenset[Right]) -> Self:
        return cls(restriction=Right.RESTRICTION in rights, objection=Right.OBJECTION in rights)


class AnsweredOut(Out):
    """The list that an event answers."""

    list_id: str = Field(description="Tells two lists apart; 16 random hex digits.")
    scenario: str | None = Field(description="The list's preset; null without one.")
    variant: str = Field(description="What made the list.")
    position: int = Field(description="The item's place in it, from 1.")


class ConsentOut(Out):
    """The consent with which the user came back after an erasure (GDPR Art. 7)."""

    at: datetime = Field(description="When it was given; UTC.")
    source: str = Field(description="The caller's code of where.")


class ExportedOut(BaseModel):
    """One interaction, its item's title, and the embedding of the memory that was made of it."""

    event_id: str | None = Field(
        description="The caller's id of the event; null for one from before these were kept."
    )
    item_id: str | None = Field(description="Item it is about; null for a free-text memory.")
    title: str | None = Field(description="Title of that item.")
    kind: Kind = Field(description="What the user did.")
    value: float | None = Field(description="Such as a rating, on the caller's scale.")
    occurred_at: datetime = Field(description="When; UTC.")
    text: str | None = Field(description="The user's own words.")
    answered: AnsweredOut | None = Field(
        description="The list that the user found the item in; null where none was told."
    )
    embedding: list[float] | None = Field(
        default=None, description="Vector of its memory; null where none was asked for or made."
    )

    @classmethod
    def of(cls, one: HistoryEntry, export: Export, *, with_embedding: bool) -> Self:
        item = export.items.get(one.item_id) if one.item_id else None
        answered = export.answered.get(one.record_id)
        return cls(
            event_id=export.event_ids.get(one.record_id),
            item_id=one.item_id,
            title=item.title if item else None,
            kind=one.kind,
            value=one.value,
            occurred_at=one.occurred_at,
            text=one.text,
            answered=AnsweredOut.model_validate(answered) if answered else None,
            embedding=_embedding(export, one.record_id) if with_embedding else None,
        )


class ExportOut(BaseModel):
    """Everything that is held of a user, newest first."""

    format: str = Field(default=FORMAT, description="Name and version of this form.")
    user: str = Field(description="The caller's id of the user.")
    is_known: bool = Field(description="Whether anything is held.")
    epoch: Count = Field(description="Erasures of this user; a count.")
    rights: RightsOut
    renewed_consent: ConsentOut | None = Field(
        description="Null for who never came back after an erasure."
    )
    interactions: list[ExportedOut] = Field(description="Newest first.")
    unwanted_topics: list[SuppressionOut] = Field(
        description="Topics that are not to be remembered."
    )
    erasure_requests: list[RequestOut] = Field(
        description="Open ones; a completed one is tied to nobody."
    )
    about: dict[str, str] = Field(
        default=ABOUT,
        description="What GDPR Art. 15(1) asks to be told.",
    )


def _embedding(export: Export, record_id: RecordId) -> list[float] | None:
    vector = export.embeddings.get(record_id)
    return None if vector is None else [float(one) for one in vector]


async def _never_stored(response: Response) -> None:
    """Tell browsers and proxies to keep no copy of everything that is held of somebody."""
    response.headers["Cache-Control"] = "no-store"


class ExportIn(In):
    """Whose data are asked for."""

    user: UserId
    embeddings: bool = Field(default=True, strict=True, description="With vectors.")


class RightsIn(In):
    """Whose rights; those that are given are put in force or lifted first."""

    user: UserId
    restriction: bool | None = Field(
        default=None, strict=True, description="Put the right of GDPR Art. 18 in force, or lift it."
    )
    objection: bool | None = Field(
        default=None, strict=True, description="Put the right of GDPR Art. 21 in force, or lift it."
    )


@router.post("/export", dependencies=[Depends(_never_stored)])
def export_user_by_body(body: ExportIn, caller: ForgetterOrUser, state: StateDep) -> ExportOut:
    """Do as `GET /users/{user}/export`, for any id, and none in an address that proxies log."""
    return _export(body.user, caller, state, embeddings=body.embeddings)


@router.post("/rights", responses=declared(409))
def set_rights_by_body(body: RightsIn, caller: ForgetterOrUser, state: StateDep) -> RightsOut:
    """Tell which rights are in force, after those that are given; no id stands in the address."""
    caller.require_user(body.user)
    rights, pseudonym = state.container.rights, state.container.identity.pseudonym(body.user)
    for right, wanted in ((Right.RESTRICTION, body.restriction), (Right.OBJECTION, body.objection)):
        if wanted is not None:
            (rights.exercise if wanted else rights.lift)(pseudonym, right)
    return RightsOut.of(rights.in_force(pseudonym))


@router.get("/{user:path}/export", dependencies=[Depends(_never_stored)])
def export_user(
    user: UserIn,
    caller: ForgetterOrUser,
    state: StateDep,
    *,
    embeddings: Annotated[bool, Query(description="With vectors.")] = True,
) -> ExportOut:
    """Hand out everything that is held of the user, machine-readable. The request is a leaf.

    `embeddings=false` leaves out the vectors, which are most of it and say nothing to a reader.
    """
    return _export(user, caller, state, embeddings=embeddings)


def _export(user: str, caller: Caller, state: State, *, embeddings: bool) -> ExportOut:
    caller.require_user(user)
    container = state.container
    found = container.rights.export(container.identity.pseudonym(user))
    subject = found.subject
    return ExportOut(
        user=user,
        is_known=subject is not None,
        epoch=subject.epoch if subject else 0,
        rights=RightsOut.of(subject.rights if subject else frozenset()),
        renewed_consent=ConsentOut.model_validate(subject.consent)
        if subject and subject.consent
        else None,
        interactions=[
            ExportedOut.of(one, found, with_embedding=embeddings) for one in found.history
        ],
        unwanted_topics=[SuppressionOut.model_validate(topic) for topic in found.topics],
        erasure_requests=[RequestOut.model_validate(one) for one in found.requests],
    )


@router.get("/{user:path}/rights")
def get_rights(user: UserIn, caller: ForgetterOrUser, state: StateDep) -> RightsOut:
    """Tell which rights are in force."""
    caller.require_user(user)
    container = state.container
    return RightsOut.of(container.rights.in_force(container.identity.pseudonym(user)))


@router.put("/{user:path}/{right}", responses=declared(409))
def exercise_right(
    user: UserIn, right: RightIn, caller: ForgetterOrUser, state: StateDep
) -> RightsOut:
    """Restrict or object: from this answer on, the user's data count in nobody's recommendations.

    Under a restriction they are kept, and new ones are stored; under an objection new ones are
    refused. A repeat changes nothing. For someone whose data were erased it is 409.
    """
    caller.require_user(user)
    container = state.container
    return RightsOut.of(container.rights.exercise(container.identity.pseudonym(user), right))


@router.delete("/{user:path}/{right}", responses=declared(409))
def lift_right(user: UserIn, right: RightIn, caller: ForgetterOrUser, state: StateDep) -> RightsOut:
    """Take a restriction or objection back: what was kept counts again."""
    caller.require_user(user)
    container = state.container
    return RightsOut.of(container.rights.lift(container.identity.pseudonym(user), right))
