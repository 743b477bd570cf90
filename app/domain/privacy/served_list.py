"""Which list an interaction answers: the ``recommendation_id`` of a list, and what it proves.

Nothing is kept of a list that is given. Only an interaction that gives its id back keeps, in its
own row, that it answered one; so whatever forgets the row forgets the answer.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.domain.errors import FieldError, InvalidInputError
from app.domain.models import Answered, Pseudonym, ReportedInteraction
from app.domain.privacy.pseudonyms import Identity
from app.domain.privacy.tokens import read, written

_VALID: Final = timedelta(days=30)
_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ServedList:
    """A list as it is given.

    Args:
        owner: whose list; None for one that is nobody's, which anybody may answer.
        epoch: the owner's; 0 for a list that rests on nothing of theirs.
        scenario: name of its preset; None without one.
        variant: what made it, see ``Answered``.
        n_items: how many items it has.
        given_at: when.
    """

    owner: Pseudonym | None
    epoch: int
    scenario: str | None
    variant: str
    n_items: int
    given_at: datetime


def recommendation_id(served: ServedList, identity: Identity) -> str:
    """Return the token of a list, another one for each; it names no user and no item."""
    list_id = secrets.token_hex(8)
    value = [
        list_id,
        _owner(identity, served.owner, list_id),
        served.epoch,
        served.scenario,
        served.variant,
        served.n_items,
        int(served.given_at.timestamp()),
    ]
    return written(value, key=identity.list_key())


def answered_by(told: ReportedInteraction, identity: Identity, *, at: str = "") -> Answered | None:
    """Return which list an interaction answers; None for none, or one that is too old.

    Judged by the interaction alone, not by the clock, so that one that is sent again is the same.

    Args:
        told: the interaction.
        identity: whose tokens.
        at: path of the interaction in its body, for error messages.

    Raises:
        InvalidInputError: the token is none of this service, or of another user's list; or the list
            is shorter than the position says.
    """
    if told.recommendation_id is None or told.position is None:
        return None
    field = f"{at}.recommendation_id" if at else "recommendation_id"
    try:
        value = read(told.recommendation_id, key=identity.list_key())
    except ValueError:
        raise InvalidInputError(FieldError(field, "is none that this service gave")) from None
    list_id, owner, epoch, scenario, variant, n_items, given_s = value
    if owner and owner != _owner(identity, identity.pseudonym(told.user), list_id):
        raise InvalidInputError(FieldError(field, "is of another user's list"))
    if told.position > n_items:
        field = f"{at}.position" if at else "position"
        raise InvalidInputError(FieldError(field, "is behind the end of the list"))
    age_s = told.occurred_at.timestamp() - given_s
    if not -_SKEW.total_seconds() <= age_s <= _VALID.total_seconds():
        return None
    return Answered(list_id, scenario, variant, told.position, epoch)


def _owner(identity: Identity, owner: Pseudonym | None, list_id: str) -> str:
    """Return what ties a token to its user, and no two tokens of a user to each other."""
    return "" if owner is None else identity.list_owner(owner, list_id)
