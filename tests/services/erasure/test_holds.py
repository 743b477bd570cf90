"""Review, and holds on requests and on people: suppressed at once, erased only when let go."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.audit.entries import LeafKind
from app.domain.erasure.request import Ground, RequestState
from app.domain.erasure.scope import AllScope, ItemsScope
from app.domain.errors import ConflictError
from app.domain.models import ItemId
from app.services.audit.log import AuditQuery
from app.services.erasure.requests import Acceptance, ForgetCommand
from app.services.recommendation.query import RecommendQuery
from tests.world import World, open_world

SEA = [f"sea-{number:02d}" for number in range(6)]


def forget(world: World, name: str, *, is_held: bool = False, item: str = "") -> Acceptance:
    scope = ItemsScope((ItemId(item),)) if item else AllScope()
    command = ForgetCommand(pseudonym=world.user(name), scope=scope, is_held=is_held)
    return world.container.forget.accept(command)


def state(world: World, accepted: Acceptance) -> RequestState:
    return world.container.forget.status(accepted.request.request_id).request.state


def is_personalised(world: World, name: str) -> bool:
    query = RecommendQuery(world.user(name), n=5)
    return world.container.recommend.recommend(query).is_personalised


def test_a_request_that_asks_for_it_is_suppressed_at_once_and_erased_after_its_release(
    shared_world: World,
) -> None:
    shared_world.read("unsure", SEA)

    accepted = forget(shared_world, "unsure", is_held=True)

    request_id = accepted.request.request_id
    assert accepted.request.state is RequestState.ON_HOLD
    assert not is_personalised(shared_world, "unsure")
    assert not shared_world.erase(request_id)
    assert request_id not in shared_world.adapters.ledger.request_ids()
    shared_world.container.operations.release(request_id)
    assert shared_world.erase(request_id)
    assert request_id in shared_world.adapters.ledger.request_ids()
    assert shared_world.container.reconcile.check().is_consistent


def test_a_refusal_gives_back_what_was_held_and_tells_how_much_stays(shared_world: World) -> None:
    shared_world.read("refused", SEA)
    accepted = forget(shared_world, "refused", is_held=True)
    request_id = accepted.request.request_id

    shared_world.container.operations.reject(request_id, ground=Ground.IDENTITY)

    assert is_personalised(shared_world, "refused")
    query = AuditQuery(request_id=request_id, kind=LeafKind.FORGET_REJECTED)
    (leaf,) = shared_world.container.audit.page(query).leaves
    assert b'"ground":"identity_not_established","n_kept":6' in leaf.body


def test_review_holds_every_request(tmp_path: Path) -> None:
    with open_world(tmp_path, forget={"review": "hold"}) as world:
        world.populate()

        assert state(world, forget(world, "reader-1")) is RequestState.ON_HOLD
        assert state(world, forget(world, "reader-2", item="stars-02")) is RequestState.ON_HOLD


def test_a_legal_hold_meets_what_is_asked_before_and_after_it(shared_world: World) -> None:
    shared_world.read("litigant", SEA)
    operations, user = shared_world.container.operations, shared_world.user("litigant")
    before = forget(shared_world, "litigant", item="sea-01")

    n_held = operations.hold_user(user, Ground.LEGAL_CLAIMS)
    after = forget(shared_world, "litigant")

    assert n_held == 1
    assert {state(shared_world, one) for one in (before, after)} == {RequestState.ON_HOLD}
    assert not is_personalised(shared_world, "litigant")
    with pytest.raises(ConflictError, match="legal hold"):
        operations.release(before.request.request_id)
    assert operations.hold_user(user, None) == 2
    assert {state(shared_world, one) for one in (before, after)} == {RequestState.ON_HOLD}
    for one in (before, after):
        operations.release(one.request.request_id)
        assert shared_world.erase(one.request.request_id)


def test_a_legal_hold_waits_for_somebody_unknown_and_names_nobody(shared_world: World) -> None:
    operations, user = shared_world.container.operations, shared_world.user("to-come")

    assert operations.hold_user(user, Ground.LEGAL_CLAIMS) == 0
    shared_world.read("to-come", SEA)

    assert is_personalised(shared_world, "to-come")
    assert state(shared_world, forget(shared_world, "to-come")) is RequestState.ON_HOLD
    leaves = shared_world.container.audit.page(AuditQuery(kind=LeafKind.USER_HELD)).leaves
    assert all(user not in leaf.body.decode() for leaf in leaves)


def test_what_is_being_erased_can_no_longer_be_held(shared_world: World) -> None:
    shared_world.read("too-late", SEA)
    shared_world.erase(forget(shared_world, "too-late").request.request_id)

    with pytest.raises(ConflictError):
        shared_world.container.operations.hold_user(
            shared_world.user("too-late"), Ground.LEGAL_CLAIMS
        )
