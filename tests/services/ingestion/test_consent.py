"""Coming back after an erasure of everything: by one's own consent, from after it, and told."""

from __future__ import annotations

import json
from datetime import timedelta

from app.domain.audit.entries import LeafKind
from app.domain.erasure.scope import AllScope
from app.domain.models import Consent, Interaction, ItemId, Kind, Subject
from app.services.audit.log import AuditQuery
from app.services.erasure.requests import ForgetCommand
from app.services.ingestion.outcomes import Outcome
from tests.world import World

A, E = Outcome.ACCEPTED, Outcome.ERASED


def erased(world: World, name: str) -> None:
    world.read(name, ["sea-00"])
    accepted = world.container.forget.accept(ForgetCommand(world.user(name), AllScope()))
    assert world.erase(accepted.request.request_id)


def view(
    world: World, name: str, *, minutes: int = 0, consent: Consent | None = None
) -> Interaction:
    """Something that happened so many minutes from now."""
    at = world.clock.now() + timedelta(minutes=minutes)
    key = world.adapters.identity.event_key(world.user(name), f"{at}")
    item = ItemId("sea-01")
    return Interaction(world.user(name), key, Kind.VIEW, at, item, renewed_consent=consent)


def subject(world: World, name: str) -> Subject | None:
    with world.adapters.uows.read() as uow:
        return uow.subjects.get(world.user(name))


def returns(world: World) -> list[dict[str, object]]:
    page = world.container.audit.page(AuditQuery(kind=LeafKind.USER_RETURNED))
    return [json.loads(leaf.body) for leaf in page.leaves]


def test_the_consent_of_one_admits_nobody_else_of_the_batch(own_world: World) -> None:
    world = own_world
    erased(world, "anna")
    erased(world, "ben")
    consent = Consent(world.clock.now(), "account")

    told = world.container.ingest.record(
        [view(world, "ben"), view(world, "anna"), view(world, "anna", minutes=1, consent=consent)]
    )

    assert list(told.outcomes) == [E, A, A]
    assert subject(world, "ben") is None
    anna = subject(world, "anna")
    assert anna is not None
    assert anna.consent == consent
    [leaf] = returns(world)
    assert (leaf["payload"], leaf["request_id"]) == ({"n_users": 1}, None)


def test_a_consent_from_before_the_erasure_lets_nobody_in(own_world: World) -> None:
    before = Consent(own_world.clock.now(), "account")
    erased(own_world, "anna")

    told = own_world.container.ingest.record([view(own_world, "anna", consent=before)])

    assert list(told.outcomes) == [E]
    assert subject(own_world, "anna") is None
    assert returns(own_world) == []


def test_what_happened_between_erasure_and_consent_stays_out_for_good(own_world: World) -> None:
    erased(own_world, "anna")
    between = view(own_world, "anna")
    own_world.clock.ahead = timedelta(days=1)
    consent = Consent(own_world.clock.now(), "account")

    together = [between, view(own_world, "anna", consent=consent)]
    assert list(own_world.container.ingest.record(together).outcomes) == [E, A]
    assert list(own_world.container.ingest.record([between]).outcomes) == [E]


def test_somebody_who_never_left_needs_no_consent_and_keeps_none(own_world: World) -> None:
    consent = Consent(own_world.clock.now(), "account")

    told = own_world.container.ingest.record([view(own_world, "new", consent=consent)])

    assert list(told.outcomes) == [A]
    found = subject(own_world, "new")
    assert found is not None
    assert found.consent is None
    assert returns(own_world) == []
