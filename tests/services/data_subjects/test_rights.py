"""Restriction, objection and export: what is kept is kept, and counts for nobody."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from app.domain.erasure.request import Ground
from app.domain.errors import ConflictError
from app.domain.models import Right
from tests.services.erasure.test_requests import SEA, ask, forget, remembered, shown
from tests.world import START, World, open_world

OTHERS = [f"reader-{number}" for number in range(30)]


@pytest.mark.parametrize("right", [*Right])
def test_from_the_exercise_on_the_user_is_a_stranger_and_after_it_is_lifted_not(
    shared_world: World, right: Right
) -> None:
    name, rights = f"cautious-{right}", shared_world.container.rights
    shared_world.read(name, SEA)
    shared_world.settle()  # an older model may serve after additions
    before = shown(ask(shared_world, name))

    assert rights.exercise(shared_world.user(name), right) == {right}
    assert shown(ask(shared_world, name)) == shown(ask(shared_world, "nobody"))
    assert remembered(shared_world, name) == set(SEA)

    assert rights.lift(shared_world.user(name), right) == set()
    shared_world.settle()
    assert shown(ask(shared_world, name))[0] == before[0]


def test_others_get_what_a_rebuild_without_the_user_gives(own_world: World, tmp_path: Path) -> None:
    own_world.read("quiet", [*SEA, "crime-07", "stars-03"])
    own_world.settle()
    own_world.container.rights.exercise(own_world.user("quiet"), Right.RESTRICTION)
    own_world.settle()

    pepper = own_world.adapters.settings.data_dir / "pepper"
    (tmp_path / "pepper").write_text(pepper.read_text())
    with open_world(tmp_path) as rebuilt:
        rebuilt.populate()
        assert (
            own_world.adapters.neighbours.state_hash() == rebuilt.adapters.neighbours.state_hash()
        )
        for name in OTHERS[:6]:
            assert shown(ask(own_world, name)) == shown(ask(rebuilt, name))


def test_a_restart_does_not_forget_a_right(own_world: World) -> None:
    own_world.read("steady", SEA)
    own_world.container.rights.exercise(own_world.user("steady"), Right.RESTRICTION)
    own_world.settle()
    state = own_world.adapters.neighbours.state_hash()

    own_world.container.feed.start()

    assert own_world.adapters.neighbours.state_hash() == state


def test_one_right_is_lifted_and_the_other_stays(shared_world: World) -> None:
    user, rights = shared_world.user("both"), shared_world.container.rights
    rights.exercise(user, Right.RESTRICTION)
    rights.exercise(user, Right.OBJECTION)

    assert rights.lift(user, Right.RESTRICTION) == {Right.OBJECTION}
    assert rights.in_force(user) == {Right.OBJECTION}


def test_new_data_are_kept_under_a_restriction_and_refused_under_an_objection(
    shared_world: World,
) -> None:
    rights = shared_world.container.rights
    for name, right, told in (
        ("kept", Right.RESTRICTION, (1, 0, 0)),
        ("refused", Right.OBJECTION, (0, 0, 1)),
    ):
        rights.exercise(shared_world.user(name), right)
        assert shared_world.read(name, ["sea-01"]) == told
        assert not ask(shared_world, name).is_personalised


def test_a_repeat_changes_nothing_and_leaves_no_leaf(shared_world: World) -> None:
    user, rights = shared_world.user("insistent"), shared_world.container.rights
    rights.exercise(user, Right.OBJECTION)
    with shared_world.adapters.uows.read() as uow:
        size, head = uow.audit.size(), uow.changes.head()
        (leaf,) = uow.audit.page(after=size - 2, limit=1, kind=None, request_id=None)

    rights.exercise(user, Right.OBJECTION)
    rights.lift(user, Right.RESTRICTION)

    with shared_world.adapters.uows.read() as uow:
        assert (uow.audit.size(), uow.changes.head()) == (size, head)
    body = json.loads(leaf.body)
    assert (body["kind"], body["request_id"]) == ("right.exercised", None)
    assert body["payload"] == {"right": "objection", "in_force": True}


def test_a_rejected_erasure_leaves_a_restriction_in_force(shared_world: World) -> None:
    user, container = shared_world.user("disputed"), shared_world.container
    shared_world.read("disputed", SEA)
    container.rights.exercise(user, Right.RESTRICTION)
    request_id = forget(shared_world, "disputed").request.request_id

    with pytest.raises(ConflictError):
        container.rights.lift(user, Right.RESTRICTION)
    container.operations.hold(request_id)
    container.operations.reject(request_id, ground=Ground.LEGAL_CLAIMS)

    assert container.rights.in_force(user) == {Right.RESTRICTION}
    assert not ask(shared_world, "disputed").is_personalised


def test_the_erased_are_not_let_in_again_by_a_right(shared_world: World) -> None:
    shared_world.read("left", SEA)
    assert shared_world.erase(forget(shared_world, "left").request.request_id)

    with pytest.raises(ConflictError):
        shared_world.container.rights.exercise(shared_world.user("left"), Right.RESTRICTION)

    now = shared_world.adapters.clock.now()
    assert shared_world.read("left", ["sea-01"], at=now) == (0, 0, 1)
    assert shared_world.container.prove.prove(shared_world.user("left")).is_as_never_seen


def test_an_erasure_takes_rights_as_well(shared_world: World) -> None:
    user = shared_world.user("all-of-it")
    shared_world.container.rights.exercise(user, Right.OBJECTION)
    assert shared_world.erase(forget(shared_world, "all-of-it").request.request_id)

    assert shared_world.container.rights.in_force(user) == set()
    assert shared_world.container.prove.prove(user).is_as_never_seen


def test_the_export_holds_what_was_sent_and_what_was_made_of_it(shared_world: World) -> None:
    shared_world.read("curious-one", ["sea-00", "sea-01"])
    shared_world.note("curious-one", "I sailed past Terschelling")

    export = shared_world.container.rights.export(shared_world.user("curious-one"))

    assert {one.item_id for one in export.history} == {"sea-00", "sea-01", None}
    assert {one.text for one in export.history} == {None, "I sailed past Terschelling"}
    assert min(one.occurred_at for one in export.history) == START
    assert set(export.embeddings) == {one.record_id for one in export.history if one.text}
    assert all(
        np.linalg.norm(one) == pytest.approx(1, abs=1e-3) for one in export.embeddings.values()
    )


def test_the_export_of_somebody_erased_holds_nothing(shared_world: World) -> None:
    shared_world.read("exported-no-more", SEA)
    assert shared_world.erase(forget(shared_world, "exported-no-more").request.request_id)

    export = shared_world.container.rights.export(shared_world.user("exported-no-more"))

    assert (export.subject, export.history, export.topics) == (None, [], [])
