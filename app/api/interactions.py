"""``POST /interactions``."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from app.api.auth import Ingester
from app.api.bodies import Batch, BodyRoute
from app.api.errors import declared
from app.api.openapi import batch_body
from app.api.schemas import EntryErrorOut, IngestOut
from app.api.state import State, StateDep, require_restored
from app.domain.errors import FieldError, InvalidInputError
from app.domain.models import Answered, Interaction, ReportedInteraction
from app.domain.privacy.served_list import answered_by
from app.services.ingestion.outcomes import IngestResult, Outcome
from app.wire.interactions import InteractionIn, interaction_from_wire

router = APIRouter(tags=["ingest"], dependencies=[Depends(require_restored)], route_class=BodyRoute)


class OnError(StrEnum):
    """What becomes of a batch with bad entries."""

    REJECT = "reject"
    SKIP = "skip"


@router.post("/interactions", openapi_extra=batch_body(InteractionIn), responses=declared(422))
def record_interactions(
    _caller: Ingester,
    entries: Batch,
    state: StateDep,
    *,
    on_error: Annotated[
        OnError, Query(description="Refuse a batch with a bad entry (422), or take the others.")
    ] = OnError.REJECT,
) -> IngestOut:
    """Store a batch of interactions; idempotent by `event_id`.

    The same `event_id` with another content corrects the event: the former content is scrubbed
    like what is erased. `refused` counts what an erasure covers. An erased user's new events are
    refused until one of them brings that user's `renewed_consent`, given after the erasure; what
    occurred before the consent stays refused for ever. `errors` names what was not stored.

    `recommendation_id` and `position` say that the user found the item in a list. One that this
    service did not give, or gave for another user, is an error. One that is older than 30 days, or
    that rests on what was erased since, is left out, and the event is stored without it.
    """
    is_lenient = on_error is OnError.SKIP
    read = _read(entries, state, is_lenient=is_lenient)
    result = state.container.ingest.record(list(read.values()), skip_unknown=is_lenient)
    outcomes = dict(enumerate([Outcome.INVALID] * len(entries)))
    outcomes |= dict(zip(read, result.outcomes, strict=True))
    told = IngestResult(tuple(outcomes.values()))
    state.metrics.interactions("accepted", count=told.accepted)
    state.metrics.interactions("duplicate", count=told.duplicate)
    state.metrics.interactions("updated", count=told.updated)
    state.metrics.interactions("refused", count=told.refused)
    return IngestOut(
        accepted=told.accepted,
        duplicate=told.duplicate,
        updated=told.updated,
        refused=told.refused,
        errors=[EntryErrorOut(index=at, code=code) for at, code in told.errors],
    )


def _read(entries: list[object], state: State, *, is_lenient: bool) -> dict[int, Interaction]:
    """Check every entry before any is stored, and let no user id go further.

    Returns:
        The good entries by place; all of them, unless bad ones may be left out.

    Raises:
        InvalidInputError: entries are bad, and may not.
    """
    now, identity = state.container.clock.now(), state.container.identity
    errors: list[FieldError] = []
    reported: dict[int, ReportedInteraction] = {}
    answered: dict[int, Answered] = {}
    for index, entry in enumerate(entries):
        at = f"interactions.{index}"
        try:
            one = interaction_from_wire(entry, now=now, at=at, skew=state.limits.future_skew)
            answer = answered_by(one, identity, at=at)
        except InvalidInputError as error:
            errors.extend(error.errors)
            continue
        reported[index] = one
        if answer is not None:
            answered[index] = answer
    if errors and not is_lenient:
        raise InvalidInputError(*errors)
    read = dict(zip(reported, identity.interactions(list(reported.values())), strict=True))
    return read | {at: replace(read[at], answered=answer) for at, answer in answered.items()}
