"""``/users/{user}``: what a user may see and decide of their own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, status

from app.api.auth import ServiceOrUser
from app.api.bodies import BodyRoute
from app.api.errors import declared
from app.api.schemas import SuppressionOut
from app.api.state import StateDep, require_restored
from app.wire.schemas import UserId

router = APIRouter(
    prefix="/users", tags=["users"], dependencies=[Depends(require_restored)], route_class=BodyRoute
)


@router.get("/{user}/suppressions")
def get_suppressions(
    user: Annotated[UserId, Path()], caller: ServiceOrUser, state: StateDep
) -> list[SuppressionOut]:
    """List the topics the user does not want: neither remembered nor recommended."""
    caller.require_user(user)
    topics = state.container.rights.suppressed_topics(state.container.identity.pseudonym(user))
    return [SuppressionOut.model_validate(topic) for topic in topics]


@router.delete(
    "/{user}/suppressions/{topic_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=declared(404),
)
def delete_suppression(
    user: Annotated[UserId, Path()],
    topic_id: Annotated[
        str,
        Path(pattern=r"^[0-9a-f]{64}$", description="Id of a suppressed topic; 64 hex digits."),
    ],
    caller: ServiceOrUser,
    state: StateDep,
) -> None:
    """Lift a topic: from now on it may be remembered and recommended again."""
    caller.require_user(user)
    pseudonym = state.container.identity.pseudonym(user)
    state.container.rights.lift_suppression(pseudonym, topic_id=topic_id)
