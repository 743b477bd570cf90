"""Requests that wait are erased together, and one of them never speaks for another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from app.domain.erasure.request import ErasureRequest, Ground, RequestState, share_of
from app.domain.erasure.residue import Needles, ProbeReport
from app.domain.erasure.scope import AllScope, ItemsScope, Scope
from app.domain.errors import DependencyUnavailableError
from app.domain.models import ItemId, RequestId
from app.services.erasure.leases import EraseConfig, ErasureLeases
from app.services.erasure.requests import ForgetCommand
from app.services.erasure.transitions import LeaseLostError
from tests.e2e.processes import wait_for
from tests.world import World

SEA = [f"sea-{number:02d}" for number in range(6)]


def forget(world: World, name: str, scope: Scope | None = None) -> RequestId:
    world.read(name, SEA)
    command = ForgetCommand(pseudonym=world.user(name), scope=scope or AllScope())
    return world.container.forget.accept(command).request.request_id


def status(world: World, request_id: RequestId) -> ErasureRequest:
    return world.container.forget.status(request_id).request


def let_retry(world: World, request_id: RequestId) -> None:
    """Let the pause after a failed attempt be over."""
    seconds = 0.6 if status(world, request_id).attempts == 1 else 2.5
    world.clock.ahead += timedelta(seconds=seconds)


class _Counted:
    """The real search, counted."""

    def __init__(self, world: World) -> None:
        self._search = world.adapters.probe.search
        self.sizes: list[int] = []

    def search(
        self, groups: Sequence[Needles], *, control: Needles, key: bytes
    ) -> list[tuple[ProbeReport, ...]]:
        self.sizes.append(len(groups))
        return self._search(groups, control=control, key=key)


def test_requests_that_wait_share_one_search(shared_world: World) -> None:
    counted = _Counted(shared_world)
    requests = [forget(shared_world, f"user-0-{number}") for number in range(3)]
    requests.append(forget(shared_world, "user-0-4", ItemsScope((ItemId("sea-04"),))))

    with shared_world.answering("probe", "search", counted.search):
        assert shared_world.erase(requests[2])

    assert counted.sizes == [4]
    for request_id in requests:
        found = shared_world.container.forget.status(request_id)
        assert found.request.state is RequestState.COMPLETED
        assert found.certificate is not None


def test_only_the_request_with_residue_stays_open(shared_world: World) -> None:
    clean, haunted = forget(shared_world, "user-1-0"), forget(shared_world, "user-1-1")
    stray = shared_world.adapters.settings.data_dir / "chroma" / "stray.bin"
    stray.write_bytes(shared_world.user("user-1-1").encode())

    assert shared_world.erase(clean)

    assert status(shared_world, clean).state is RequestState.COMPLETED
    assert status(shared_world, haunted).state is RequestState.ERASING
    assert status(shared_world, haunted).error_code == "integrity_error"
    stray.unlink()
    let_retry(shared_world, haunted)
    assert shared_world.erase(haunted)


def test_an_outage_of_what_is_shared_puts_all_off_and_fails_none(shared_world: World) -> None:
    requests = [forget(shared_world, f"user-2-{number}") for number in range(2)]
    with shared_world.answering("memory", "maintain"):
        assert not shared_world.erase(requests[0])

    for request_id in requests:
        found = status(shared_world, request_id)
        assert (found.error_code, found.outages) == ("dependency_unavailable", 1)
    let_retry(shared_world, requests[0])
    assert shared_world.container.erase.execute(requests[0]) == frozenset(requests)


def test_a_request_that_was_tried_before_is_worked_on_alone(shared_world: World) -> None:
    """It may be one that kills its worker."""
    poison, other = forget(shared_world, "user-3-0"), forget(shared_world, "user-3-1")
    with shared_world.adapters.uows.write() as uow:
        now = shared_world.adapters.clock.now()
        claim = uow.requests.claim(poison, owner="dead", now=now, lease_until=now)
    assert claim is not None

    shared_world.settle()
    assert shared_world.container.erase.execute(other) == {other}
    assert shared_world.container.erase.execute(poison) == {poison}


def test_an_erasure_of_all_waits_for_what_is_on_hold(shared_world: World) -> None:
    held = forget(shared_world, "user-4-0", ItemsScope((ItemId("sea-02"),)))
    shared_world.container.operations.hold(held)
    everything = forget(shared_world, "user-4-0")

    assert not shared_world.erase(everything)

    found = status(shared_world, everything)
    assert found.state is RequestState.SUPPRESSED
    assert (found.error_code, found.outages) == ("waits_for_other_request", 1)
    with shared_world.adapters.uows.read() as uow:
        assert len(uow.interactions.record_ids_of(shared_world.user("user-4-0"))) == len(SEA)

    shared_world.container.operations.release(held)
    assert shared_world.erase(held)
    let_retry(shared_world, everything)
    assert shared_world.erase(everything)


def test_an_erasure_of_all_takes_over_what_a_rejected_request_had_on_hold(
    shared_world: World,
) -> None:
    held = forget(shared_world, "user-5-0", ItemsScope((ItemId("sea-02"),)))
    shared_world.container.operations.hold(held)
    everything = forget(shared_world, "user-5-0")

    shared_world.container.operations.reject(held, ground=Ground.LEGAL_CLAIMS)

    with shared_world.adapters.uows.read() as uow:
        assert uow.interactions.count(shared_world.user("user-5-0")) == 0
        assert len(uow.interactions.flagged(everything)) == len(SEA)
    assert shared_world.erase(everything)


def test_two_erasures_of_all_complete_together(shared_world: World) -> None:
    first = forget(shared_world, "user-6-0")
    again = shared_world.container.forget.accept(
        ForgetCommand(
            pseudonym=shared_world.user("user-6-0"), scope=AllScope(), subject_request_id="again"
        )
    ).request.request_id
    assert first != again

    shared_world.settle()
    assert shared_world.container.erase.execute(first) == {first, again}


def test_a_worker_takes_along_those_that_its_own_node_was_rung_for(shared_world: World) -> None:
    requests = [forget(shared_world, f"user-7-{number}") for number in range(8)]
    uows, clock = shared_world.adapters.uows, shared_world.adapters.clock
    first, claimed = requests[0], set[RequestId]()
    for own in range(2):
        config = EraseConfig(share=(own, 2), lease_s=1.0)
        leases = ErasureLeases(uows=uows, clock=clock, owner=f"worker {own}", config=config)
        asked = first if own == 0 else next((one for one in requests if one not in claimed), first)

        found = {one.request_id for one in leases.claim(asked)}

        theirs = {one for one in requests if share_of(one, n=2) == own}
        assert found == ({asked} | theirs) - claimed
        claimed |= found
    assert claimed == set(requests)
    shared_world.clock.ahead += timedelta(seconds=2)
    assert all(shared_world.erase(request_id) for request_id in requests)


def _left(world: World) -> list[RequestId]:
    with world.adapters.uows.read() as uow:
        return uow.documents.certified_with_needles(limit=9)


def test_what_the_proofs_needed_is_destroyed_with_one_cleaning_of_the_vault(
    shared_world: World,
) -> None:
    requests = [forget(shared_world, f"user-8-{number}") for number in range(3)]
    flush, flushed = shared_world.adapters.vault.flush, list[int]()

    def counted() -> None:
        flushed.append(len(_left(shared_world)))
        flush()

    with shared_world.answering("vault", "flush", counted):
        assert shared_world.erase(requests[0])

    assert flushed == [0, 3]  # before the search, and once all are certified
    assert _left(shared_world) == []


def test_where_that_fails_the_next_sweep_makes_up_for_it(shared_world: World) -> None:
    requests = [forget(shared_world, f"user-9-{number}") for number in range(2)]

    def failing() -> None:
        if _left(shared_world):
            raise DependencyUnavailableError("away")

    with shared_world.answering("vault", "flush", failing):
        assert shared_world.erase(requests[0])
    assert [status(shared_world, one).state for one in requests] == [RequestState.COMPLETED] * 2
    assert set(_left(shared_world)) == set(requests)

    assert shared_world.container.erase.tidy() == 2
    assert _left(shared_world) == []


def test_who_has_lost_a_lease_is_told_apart_in_a_heartbeat_of_all(shared_world: World) -> None:
    first, second = forget(shared_world, "user-10-0"), forget(shared_world, "user-10-1")
    uows, clock = shared_world.adapters.uows, shared_world.adapters.clock
    config = EraseConfig(lease_s=1.0, heartbeat_s=0.05)
    leases = ErasureLeases(uows=uows, clock=clock, owner="worker", config=config)
    claimed = leases.claim(first)
    with leases.held(claimed) as checks:
        with uows.write() as uow:
            assert uow.requests.release(second, fence=claimed[-1].fence)
        wait_for("it is lost", lambda: _is_lost(checks[second]))
        checks[first]()
    shared_world.clock.ahead += timedelta(seconds=9)
    assert all(shared_world.erase(one) for one in (first, second))


def _is_lost(check: Callable[[], None]) -> bool:
    try:
        check()
    except LeaseLostError:
        return True
    return False
