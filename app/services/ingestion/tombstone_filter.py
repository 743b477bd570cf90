"""What stops erased data from coming back: tombstones at the door of ingestion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from app.domain.audit.entries import Leaf, LeafKind
from app.domain.erasure.request import Tombstone
from app.domain.erasure.scope import AllScope, ItemsScope, PeriodScope, Scope
from app.domain.models import (
    Consent,
    HistoryEntry,
    Interaction,
    Pseudonym,
    Right,
    Subject,
    SubjectStatus,
)
from app.domain.privacy.pseudonyms import Identity
from app.ports.persistence.records import Outline
from app.ports.persistence.unit_of_work import UnitOfWork
from app.services.ingestion.outcomes import Outcome


def tombstone_tokens(identity: Identity, one: Interaction | Outline) -> list[str]:
    """Return every token under which a tombstone may cover an interaction."""
    return [*_tokens_of(identity, one.pseudonym), *_own_tokens(identity, one)]


def _tokens_of(identity: Identity, user: Pseudonym) -> list[str]:
    """Return those that are the same for everything of a user."""
    return [identity.tombstone_all(user), identity.tombstone_period(user)]


def _own_tokens(identity: Identity, one: Interaction | Outline) -> list[str]:
    tokens = [identity.tombstone_event(one.pseudonym, one.event_key)]
    if one.item_id is not None:
        tokens.append(identity.tombstone_item(one.pseudonym, one.item_id))
    return tokens


def tombstones(
    identity: Identity, scope: Scope, doomed: Sequence[HistoryEntry], *, stone: Tombstone
) -> list[Tombstone]:
    """Return what keeps a scope's data from coming back.

    Args:
        identity: makes their tokens.
        scope: what is erased.
        doomed: what of the user's the scope covers.
        stone: request, end and epoch of the tombstones; its token is the pseudonym.
    """
    user = Pseudonym(stone.token)
    match scope:
        case AllScope():
            return [replace(stone, token=identity.tombstone_all(user))]
        case ItemsScope(item_ids=item_ids):
            # Of what was never held there is nothing to come back: no trace of ids that were sent.
            held = {entry.item_id for entry in doomed}
            tokens = [identity.tombstone_item(user, one) for one in item_ids if one in held]
        case PeriodScope(start=start, end=end):
            token = identity.tombstone_period(user)
            return [replace(stone, token=token, erased_before=end, erased_from=start, epoch=0)]
        case _:
            tokens = [identity.tombstone_event(user, entry.event_key) for entry in doomed]
    return [replace(stone, token=token, epoch=0) for token in tokens]


class TombstoneFilter:
    """Decides, within one transaction, which interactions may come in.

    Subjects are locked in order of pseudonym, so that ingest and erasure of a user take turns
    and two batches never wait for each other in a circle.
    """

    def __init__(
        self,
        identity: Identity,
        uow: UnitOfWork,
        interactions: Sequence[Interaction],
        *,
        at: datetime,
    ) -> None:
        """Lock the users of ``interactions``, create new ones, read the tombstones.

        Args:
            identity: makes the tokens.
            uow: the transaction.
            interactions: what wants in, with the consents it brings.
            at: the present.
        """
        self._identity = identity
        users = sorted({one.pseudonym for one in interactions})
        subjects = uow.subjects.lock_all(users)
        self._tombstones: Mapping[str, Sequence[Tombstone]] = {}
        if uow.tombstones.are_any():  # else no token is worth a hash, as when a service is filled
            tokens = {token for user in users for token in _tokens_of(identity, user)}
            tokens.update(token for one in interactions for token in _own_tokens(identity, one))
            self._tombstones = uow.tombstones.find(tokens)
        consents: dict[Pseudonym, list[Consent]] = defaultdict(list)
        for one in interactions:
            if one.renewed_consent is not None:
                consents[one.pseudonym].append(one.renewed_consent)
        self._subjects = {
            user: subjects.get(user) or self._arrive(uow, user, consents[user]) for user in users
        }
        arrived = (self._subjects[user] for user in users if user not in subjects)
        n_returned = sum(one is not None and one.consent is not None for one in arrived)
        if n_returned:
            facts = {"n_users": n_returned}
            uow.audit.append([Leaf(LeafKind.USER_RETURNED, at, None, facts)])

    def _arrive(
        self, uow: UnitOfWork, user: Pseudonym, consents: Sequence[Consent]
    ) -> Subject | None:
        """Create a subject, above the epoch of an erased one; None where consent is missing.

        Also None while an erasure is under way: its last steps take all of the user, so they
        would take what came back as well.
        """
        token = self._identity.tombstone_all(user) if self._tombstones else ""
        erased = self._tombstones.get(token, ())
        if not erased:
            return uow.subjects.create(user, epoch=1)
        since = max(tombstone.erased_before for tombstone in erased)
        valid = [one for one in consents if one.at >= since]
        consent = min(valid, key=lambda one: (one.at, one.source), default=None)
        may_return = all(one.is_lapse for one in erased) or consent is not None
        if not may_return or not uow.tombstones.are_settled(token):
            return None
        epoch = 1 + max(tombstone.epoch for tombstone in erased)
        return uow.subjects.create(user, epoch=epoch, consent=consent)

    def refusal(self, one: Interaction) -> Outcome | None:
        """Return what stands against storing this interaction; None where nothing does."""
        subject = self._subjects[one.pseudonym]
        if subject is None or subject.status is SubjectStatus.ERASING:
            return Outcome.ERASED
        if Right.OBJECTION in subject.rights:
            return Outcome.OBJECTION
        if subject.consent is not None and one.occurred_at < subject.consent.at:
            return Outcome.ERASED
        if not self._tombstones:  # as nearly always: nothing of anybody here was ever erased
            return None
        tokens = tombstone_tokens(self._identity, one)
        return Outcome.ERASED if any(self._covers(token, one) for token in tokens) else None

    def answers(self, one: Interaction) -> bool:
        """Return whether the list that an interaction answers rests on nothing erased since."""
        subject = self._subjects[one.pseudonym]
        epoch = one.answered.epoch if one.answered is not None else 0
        return not epoch or (subject is not None and subject.epoch == epoch)

    def _covers(self, token: str, one: Interaction) -> bool:
        stones: Sequence[Tombstone] = self._tombstones.get(token, ())
        return any(stone.covers(one.occurred_at) for stone in stones)
