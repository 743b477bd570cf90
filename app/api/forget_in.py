"""What may be asked for of erasure requests."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from app.api.scopes import ScopeIn, UtcTime
from app.domain.erasure.request import Extension, Ground, Reason
from app.domain.privacy.pseudonyms import Identity
from app.services.audit.certificates import commit
from app.services.erasure.requests import ForgetCommand
from app.wire.ids import UserId
from app.wire.schemas import In

Key = Annotated[str, StringConstraints(min_length=1, max_length=255)]


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

    hold: bool = Field(
        default=False,
        strict=True,
        description="Suppress at once, and erase only once an administrator has released it, such "
        "as when it is not sure who asks.",
    )

    def to_domain(self, identity: Identity, *, idempotency_key: str | None) -> ForgetCommand:
        """Return the command; the user's id goes no further than into a commitment to it."""
        pseudonym = identity.pseudonym(self.user)
        return ForgetCommand(
            pseudonym=pseudonym,
            scope=self.scope.to_domain(identity, pseudonym),
            reason=self.reason,
            idempotency_key=idempotency_key,
            subject_request_id=str(self.subject_request_id) if self.subject_request_id else None,
            about=commit(self.user),
            requested_at=self.requested_at,
            is_held=self.hold,
        )


class ForgetLineIn(ForgetIn):
    """An erasure request of a batch."""

    idempotency_key: Key | None = Field(
        default=None, description="The caller's own, as the header of `POST /forget`."
    )


class RejectIn(In):
    """Why a request is refused."""

    ground: Ground = Field(description="The ground of GDPR Art. 17(3) or 12(5).")


class HoldIn(In):
    """Whether anything of a user may be erased for now."""

    user: UserId
    ground: Ground | None = Field(description="Why not (GDPR Art. 17(3)); null: it may again.")


class ExtendIn(In):
    """Why a request takes longer, and that the person knows (GDPR Art. 12(3))."""

    reason: Extension = Field(description="Why.")
    told_at: UtcTime = Field(
        description="When the person was told of it and of the reason; between request and now."
    )
