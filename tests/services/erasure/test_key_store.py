"""Without the key that signs nothing is accepted and nothing completed: requests wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.domain.erasure.request import RequestState
from app.domain.errors import DependencyUnavailableError
from tests.e2e.processes import wait_for
from tests.services.erasure.test_requests import SEA, ask, forget
from tests.world import World


@contextmanager
def no_key_store(world: World) -> Iterator[None]:
    """Take the directory of the signing keys away until the block ends."""
    keys = world.adapters.settings.data_dir / "keys"
    away = keys.rename(keys.with_name("keys-away"))
    try:
        yield
    finally:
        away.rename(keys)


def size_of(world: World) -> tuple[int, int]:
    with world.adapters.uows.read() as uow:
        return uow.audit.size(), sum(uow.requests.count_by_state().values())


def test_nothing_is_accepted_and_nothing_changes(shared_world: World) -> None:
    shared_world.read("patient", SEA)
    before = size_of(shared_world)

    with no_key_store(shared_world), pytest.raises(DependencyUnavailableError):
        forget(shared_world, "patient")

    assert size_of(shared_world) == before
    assert ask(shared_world, "patient").is_personalised
    assert shared_world.erase(forget(shared_world, "patient").request.request_id)


def test_an_erasure_waits_suppressed_and_completes_once_it_is_back(shared_world: World) -> None:
    shared_world.read("waiting", SEA)
    request_id = forget(shared_world, "waiting").request.request_id
    status = shared_world.container.forget.status

    with no_key_store(shared_world):
        assert not shared_world.erase(request_id)
        waiting = status(request_id)
        assert waiting.request.state is RequestState.VERIFYING
        assert (waiting.request.error_code, waiting.request.outages) == (
            DependencyUnavailableError.code,
            1,
        )
        assert waiting.certificate is None
        assert not ask(shared_world, "waiting").is_personalised

    assert wait_for("the request completes", lambda: shared_world.erase(request_id))
    assert status(request_id).certificate is not None
    assert shared_world.container.reconcile.check().is_consistent
