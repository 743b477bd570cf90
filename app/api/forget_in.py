"""What may be asked for of erasure requests."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from app.api.scopes import ScopeIn, UtcTime
from app.domain.erasure.request import Extension, Ground, Reason
from app.wire.ids import UserId
from app.wire.schemas import In


class ForgetIn(In):
    """An erasure request."""

    user: UserId
    scope: ScopeIn
    reason: Reason | None = Field(
        default=None,
        description="Why, in the words of GDPR Art. 17(1); a note for the log.",
    )
    subject_request_id: UUID | None = Field(
        default=None,
        description="Id of the same wish elsewhere, such as a ticket; one request each.",
    )
    requested_at: UtcTime | None = Field(
        default=None,
        description="When the person asked, which starts the month of GDPR Art. 12(3); within the "
        "last 366 days. Null: now.",
    )


class RejectIn(In):
    """Why a request is refused."""

    ground: Ground = Field(description="The ground of GDPR Art. 17(3) or 12(5).")


class ExtendIn(In):
    """Why a request takes longer, and that the person knows (GDPR Art. 12(3))."""

    reason: Extension = Field(description="Why.")
    told_at: UtcTime = Field(
        description="When the person was told of it and of the reason; between request and now."
    )
