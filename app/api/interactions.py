"""``POST /interactions``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from app.api.auth import Service
from app.api.bodies import Batch, BodyRoute
from app.api.errors import declared
from app.api.openapi import batch_body
from app.api.schemas import IngestOut
from app.api.state import State, StateDep, require_restored
from app.domain.errors import FieldError, InvalidInputError
from app.domain.models import Interaction
from app.wire.schemas import InteractionIn, interaction_from_wire

router = APIRouter(tags=["ingest"], dependencies=[Depends(require_restored)], route_class=BodyRoute)


@router.post("/interactions", openapi_extra=batch_body(InteractionIn), responses=declared(422))
def record_interactions(
    _caller: Service,
    entries: Batch,
    state: StateDep,
    *,
    renewed_consent: Annotated[
        bool, Query(description="Take an erased user's new events in again.")
    ] = False,
) -> IngestOut:
    """Store a batch of interactions, all or none; idempotent by `event_id`.

    `refused` counts what an erasure covers. An erased user's new events are refused until one
    batch says `renewed_consent=true`; what occurred before the erasure stays refused for ever.
    """
    interactions = _read(entries, state)
    result = state.container.ingest.record(interactions, renewed_consent=renewed_consent)
    state.metrics.interactions("accepted", count=result.accepted)
    state.metrics.interactions("duplicate", count=result.duplicate)
    state.metrics.interactions("refused", count=result.refused)
    return IngestOut(accepted=result.accepted, duplicate=result.duplicate, refused=result.refused)


def _read(entries: list[object], state: State) -> list[Interaction]:
    """Check every entry before any is stored, and let no user id go further."""
    now, identity = state.container.clock.now(), state.container.identity
    errors: list[FieldError] = []
    interactions: list[Interaction] = []
    for index, entry in enumerate(entries):
        try:
            reported = interaction_from_wire(
                entry, now=now, at=f"interactions.{index}", skew=state.limits.future_skew
            )
        except InvalidInputError as error:
            errors.extend(error.errors)
        else:
            interactions.append(identity.interaction(reported))
    if errors:
        raise InvalidInputError(*errors)
    return interactions
