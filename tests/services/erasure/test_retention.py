"""What is kept too long is erased like what somebody asked for, and nobody is locked out by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.erasure.request import Ground, Reason, RequestState
from app.domain.erasure.scope import AllScope
from app.domain.models import Kind, Right
from app.services.erasure.requests import ForgetCommand
from app.settings_groups import RetentionSettings
from tests.world import START, World, open_world

SEA = [f"sea-{number:02d}" for number in range(6)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    kept = RetentionSettings(days={Kind.VIEW: 100}, inactive_days=400)
    with open_world(tmp_path, retention=kept) as opened:
        opened.populate()
        # Every reader has a rating of today, so that the time of a test is the time of its user.
        today = opened.clock.now() - timedelta(days=1)
        for number in range(30):
            opened.read(f"reader-{number}", ["stars-10"], at=today)
        yield opened


def erase_all(world: World) -> list[str]:
    """Work on what retention asked for; return the scopes."""
    page = world.container.operations.page(state=RequestState.SUPPRESSED, before=None, limit=100)
    for request in page.requests:
        world.erase(request.request_id)
    assert {one.reason for one in page.requests} <= {Reason.NO_LONGER_NEEDED}
    return sorted(one.scope_kind for one in page.requests)


def kinds(world: World, name: str) -> list[str]:
    with world.adapters.uows.read() as uow:
        return sorted(one.kind for one in uow.interactions.history(world.user(name)))


def test_nothing_is_erased_unless_a_setting_says_how_long_it_is_kept(shared_world: World) -> None:
    shared_world.read("ancient", SEA, at=START - timedelta(days=9_000))

    assert shared_world.container.retention.run() == 0


def test_old_interactions_of_a_kind_go_and_the_others_stay(world: World) -> None:
    old, new = (world.clock.now() - timedelta(days=days) for days in (200, 50))
    world.read("viewer", SEA[:3], at=old, kind=Kind.VIEW)
    world.read("viewer", SEA[3:4], at=new, kind=Kind.VIEW)
    world.read("viewer", SEA[4:], at=old)

    assert world.container.retention.run() == 1
    assert kinds(world, "viewer") == ["rating", "rating", "view"]
    assert erase_all(world) == ["events"]
    assert world.container.retention.run() == 0
    assert world.read("viewer", SEA[:1], at=old, kind=Kind.VIEW) == (0, 0, 1)


def test_who_was_inactive_is_erased_with_a_certificate_and_may_come_back(world: World) -> None:
    old = world.clock.now() - timedelta(days=500)
    world.read("gone", SEA, at=old)

    assert world.container.retention.run() == 1
    assert erase_all(world) == ["all"]
    with world.adapters.uows.read() as uow:
        assert not any(
            n for table, n in uow.subjects.mentions(world.user("gone")).items() if table != "change"
        )
    assert world.read("gone", SEA[:2], at=old) == (0, 0, 2)
    assert world.read("gone", SEA[:2], at=world.clock.now() - timedelta(days=1))[0] == 1


def test_who_asked_themselves_still_needs_a_new_consent(world: World) -> None:
    old = world.clock.now() - timedelta(days=500)
    world.read("both", SEA, at=old)
    command = ForgetCommand(pseudonym=world.user("both"), scope=AllScope())
    world.erase(world.container.forget.accept(command).request.request_id)
    world.container.retention.run()

    assert world.read("both", SEA[:1], at=world.clock.now()) == (0, 0, 1)


def test_a_legal_hold_and_a_restriction_keep_what_is_old(world: World) -> None:
    old = world.clock.now() - timedelta(days=500)
    for name in ("held", "restricted"):
        world.read(name, SEA, at=old, kind=Kind.VIEW)
    world.container.operations.hold_user(world.user("held"), Ground.LEGAL_CLAIMS)
    world.container.rights.exercise(world.user("restricted"), Right.RESTRICTION)

    assert world.container.retention.run() == 0
