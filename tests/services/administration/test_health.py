"""Readiness: what is required, what is only named, and how soon it is told."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.errors import AccessRefusedError
from app.services.administration.health import STALE_S, HealthService
from tests.world import World


class Watch:
    """A clock that stands until it is moved."""

    def __init__(self, world: World) -> None:
        self.now = world.clock.now
        self.sleep = world.clock.sleep
        self.s = 0.0

    def monotonic_s(self) -> float:
        return self.s


def _health(world: World, clock: Watch, *, vault: Callable[[], object]) -> HealthService:
    container = world.container
    container.restore.check()
    return HealthService(
        uows=world.adapters.uows,
        memory=world.adapters.memory,
        stores={"vault": vault},
        reading=container.reading,
        restore=container.restore,
        succession=container.succession,
        clock=clock,
        workers_silent_after_s=None,
    )


def _refused() -> None:
    raise AccessRefusedError("the database refuses the name or password")


def test_a_store_without_which_lists_are_made_is_named_and_not_required(
    shared_world: World,
) -> None:
    readiness = _health(shared_world, Watch(shared_world), vault=_refused).readiness()

    vault = readiness.dependencies["vault"]
    assert readiness.is_ready
    assert (vault.status, vault.is_well, vault.is_required) == ("access_refused", False, False)
    required = {name for name, one in readiness.dependencies.items() if one.is_required}
    assert required == {"database", "restore"}


def test_what_is_looked_at_in_the_background_is_told_without_a_call(shared_world: World) -> None:
    calls: list[int] = []
    health = _health(shared_world, Watch(shared_world), vault=lambda: calls.append(1))
    health.look("vault")

    for _ in range(3):
        assert health.readiness().dependencies["vault"].is_well

    assert len(calls) == 1


def test_a_look_that_does_not_come_back_is_an_outage(shared_world: World) -> None:
    clock = Watch(shared_world)
    health = _health(shared_world, clock, vault=lambda: None)
    health.look("vault")

    clock.s += STALE_S + 1

    vault = health.readiness().dependencies["vault"]
    assert (vault.status, vault.is_well) == ("dependency_unavailable", False)
