"""``/users/{user}``: what a user may see and decide of their own."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Path, status
from pydantic import BaseModel, Field

from app.api.auth import ForgetterOrUser
from app.api.bodies import BodyRoute
from app.api.errors import declared
from app.api.schemas import Digest, SuppressionOut
from app.api.state import StateDep, require_restored
from app.domain.errors import NotFoundError
from app.wire.ids import UserId
from app.wire.schemas import In

router = APIRouter(
    prefix="/users", tags=["users"], dependencies=[Depends(require_restored)], route_class=BodyRoute
)


class SuppressionsIn(In):
    """Whose topics; those to lift are lifted first."""

    user: UserId
    lift: list[Digest] = Field(
        default=[], max_length=100, description="Ids of topics to lift; unknown ones are skipped."
    )


class SuppressionsOut(BaseModel):
    """The topics a user does not want."""

    unwanted_topics: list[SuppressionOut] = Field(
        description="Topics that are not to be remembered."
    )


@router.post("/suppressions")
def lift_suppressions_by_body(
    body: SuppressionsIn, caller: ForgetterOrUser, state: StateDep
) -> SuppressionsOut:
    """List the topics the user does not want, after lifting some; no id stands in the address."""
    caller.require_user(body.user)
    rights, pseudonym = state.container.rights, state.container.identity.pseudonym(body.user)
    for topic_id in body.lift:
        with suppress(NotFoundError):  # lifted before
            rights.lift_suppression(pseudonym, topic_id=topic_id)
    topics = rights.suppressed_topics(pseudonym)
    return SuppressionsOut(unwanted_topics=[SuppressionOut.model_validate(one) for one in topics])


@router.get("/{user:path}/suppressions")
def get_suppressions(
    user: Annotated[UserId, Path()], caller: ForgetterOrUser, state: StateDep
) -> list[SuppressionOut]:
    """List the topics the user does not want: neither remembered nor recommended."""
    caller.require_user(user)
    topics = state.container.rights.suppressed_topics(state.container.identity.pseudonym(user))
    return [SuppressionOut.model_validate(topic) for topic in topics]


@router.delete(
    "/{user:path}/suppressions/{topic_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=declared(404),
)
def delete_suppression(
    user: Annotated[UserId, Path()],
    topic_id: Annotated[
        str,
        Path(pattern=r"^[0-9a-f]{64}$", description="Id of a suppressed topic; 64 hex digits."),
    ],
    caller: ForgetterOrUser,
    state: StateDep,
) -> None:
    """Lift a topic: from now on it may be remembered and recommended again."""
    caller.require_user(user)
    pseudonym = state.container.identity.pseudonym(user)
    state.container.rights.lift_suppression(pseudonym, topic_id=topic_id)
