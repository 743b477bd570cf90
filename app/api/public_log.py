"""What a stranger needs to check the log alone: open, read-only, and without anything personal."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from app.api.audit_proofs import ConsistencyOut, InclusionOut, Seq, Size
from app.api.bodies import BodyRoute
from app.api.errors import declared
from app.api.schemas import Count, Out
from app.api.state import StateDep
from app.domain.audit.succession import Succession

router = APIRouter(tags=["log"], route_class=BodyRoute)
_BRIEFLY: Final = {"Cache-Control": "public, max-age=10"}
_LONGER: Final = {"Cache-Control": "public, max-age=300"}
"""Not for ever: after a restore another log has leaves of the same numbers."""


class LimitOut(Out):
    """Something that certificates do not claim."""

    code: str = Field(description="Stable; docs/audit.md explains each.")
    text: str = Field(description="What is not claimed, in words.")


class EndedLogOut(Out):
    """A log that ended, and why another one goes on."""

    origin: str = Field(description="Name of the log that ended.")
    size: Count = Field(description="Leaves it had been seen with; a count.")
    kept: Count = Field(description="How many of them its successor begins with.")
    why: str = Field(description="`restored`, `copied` or `witnessed`.")
    checkpoint: str = Field(description="Its newest checkpoint that is known; a signed note.")
    successor: str = Field(description="Name of the log that goes on.")

    @classmethod
    def of(cls, told: Succession) -> EndedLogOut:
        return cls(
            origin=told.old_origin,
            size=told.old_size,
            kept=told.kept,
            why=told.why,
            checkpoint=told.old.encode(),
            successor=told.origin,
        )


class PublicLogOut(Out):
    """Who signs here, what the log is named, and what is not claimed."""

    origin: str = Field(description="Name of the audit log that is appended to now.")
    key: str = Field(description="Public key that signs now: `name+id+base64`.")
    key_history: list[str] = Field(description="Signed notes that lead to it from the first key.")
    ended: list[EndedLogOut] = Field(description="Logs that it succeeds, oldest first.")
    policy: str | None = Field(description="Witnesses, in the form of c2sp.org/tlog-policy.")
    release: str = Field(description="Version of the service, and the commit it was built from.")
    reach: str = Field(description="What the searches of this deployment can read, in words.")
    limits: list[LimitOut] = Field(description="What its certificates do not claim.")
    checkpoint_path: str = Field(description="Where the newest signed checkpoint is.")


class _Note(Response):
    media_type = "text/plain; charset=utf-8"


@router.get("/.well-known/lethe.json")
def get_public_log(state: StateDep, response: Response) -> PublicLogOut:
    """Say who signs here. Get the key from elsewhere, too, before you believe it."""
    container = state.container
    signer, about = container.checkpoints.signer(), container.about
    response.headers.update(_LONGER)
    return PublicLogOut(
        origin=container.checkpoints.log_name(),
        key=signer.key.encode(),
        key_history=[note.encode() for note in signer.rotations],
        ended=[EndedLogOut.of(told) for told in container.succession.history()],
        policy=about.policy,
        release=about.release,
        reach=about.reach,
        limits=[LimitOut.model_validate(one) for one in about.limits],
        checkpoint_path="/log/checkpoint",
    )


@router.get("/log/checkpoint", response_class=_Note, responses=declared(404))
def get_public_checkpoint(state: StateDep) -> Response:
    """Return the newest checkpoint, as c2sp.org/tlog-checkpoint.

    With witnesses it is the newest that as many have seen as the policy asks for.
    """
    signed = state.container.witnessing.newest_seen()
    return _Note(signed.note.encode(), headers=_BRIEFLY)


@router.get("/log/leaves/{seq}/proof", responses=declared(404))
def get_public_inclusion_proof(
    seq: Seq,
    state: StateDep,
    response: Response,
    size: Annotated[
        int | None,
        Query(ge=1, le=2**53 - 1, description="Leaves of the checkpoint; unset for the newest."),
    ] = None,
) -> InclusionOut:
    """Prove that a leaf stands under a signed checkpoint; nothing is signed for it."""
    response.headers.update(_LONGER)
    newest = state.container.witnessing.newest_seen()
    proof = state.container.checkpoints.prove_signed(seq, size=size, newest=newest)
    return InclusionOut.model_validate(proof)


@router.get("/log/consistency", responses=declared(404))
def get_public_consistency_proof(
    state: StateDep, response: Response, *, first: Size, second: Size
) -> ConsistencyOut:
    """Prove that the log of `first` leaves begins the log of `second`, both signed or between."""
    response.headers.update(_LONGER)
    checkpoints = state.container.checkpoints
    proof = checkpoints.prove_consistency(first=first, second=second, is_public=True)
    return ConsistencyOut.model_validate(proof)
