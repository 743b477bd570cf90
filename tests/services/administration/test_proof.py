"""Erased is the same as never seen, and whatever is left anywhere says otherwise."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from app.domain.erasure.request import ErasureOrder
from app.domain.models import ItemId, RecordId, RequestId
from app.ports.memory_store import Memory
from app.services.administration.proof import Claim, Proof
from tests.services.erasure.test_requests import SEA, forget
from tests.world import World, open_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which ``gone`` was erased and ``here`` was not."""
    with open_world(tmp_path_factory.mktemp("prove")) as world:
        world.populate()
        for name in ("gone", "here"):
            world.read(name, SEA)
            world.note(name, "I sailed past Terschelling")
        assert world.erase(forget(world, "gone").request.request_id)
        world.settle()
        yield world


def prove(world: World, name: str) -> Proof:
    return world.container.prove.prove(world.user(name))


def against(proof: Proof) -> set[Claim]:
    return {check.claim for check in proof.checks if not check.is_held}


@pytest.mark.parametrize("name", ["gone", "never-seen"])
def test_someone_erased_passes_as_someone_never_seen(world: World, name: str) -> None:
    proof = prove(world, name)

    assert proof.is_as_never_seen, proof.checks
    assert {check.claim for check in proof.checks} == {*Claim}
    assert all(check.examined for check in proof.checks)
    assert proof.state == proof.rebuilt == world.adapters.neighbours.state_hash(in_full=True)


def test_someone_known_does_not(world: World) -> None:
    proof = prove(world, "here")

    assert against(proof) == {*Claim} - {Claim.CACHE}
    assert proof.rebuilt != proof.state == world.adapters.neighbours.state_hash(in_full=True)


def test_the_leaf_says_what_came_of_it_and_is_tied_to_nobody(world: World) -> None:
    proof = prove(world, "here")
    with world.adapters.uows.read() as uow:
        (leaf,) = uow.audit.page(after=proof.seq - 1, limit=1, kind=None, request_id=None)

    body = json.loads(leaf.body)
    assert (body["kind"], body["request_id"]) == ("user.proved", None)
    assert body["payload"] == {
        "as_never_seen": False,
        "against": "answers rows memories keys bytes state",
        "state": proof.state,
        "rebuilt": proof.rebuilt,
    }
    assert world.user("here") not in leaf.body.decode()


def _leave_a_row(world: World) -> Callable[[], object]:
    user = world.user("gone")
    with world.adapters.uows.write() as uow:
        uow.subjects.create(user, epoch=9)

    def undo() -> None:
        with world.adapters.uows.write() as uow:
            uow.subjects.delete(user)
        world.adapters.uows.scrub()

    return undo


def _leave_a_memory(world: World) -> Callable[[], object]:
    user, record_id = world.user("gone"), RecordId(secrets.token_hex(16))
    memory, vault = world.adapters.memory, world.adapters.vault
    vector = np.zeros(world.adapters.embedder.dim, dtype=np.float32)
    vector[0] = 1.0
    vault.ensure([user])
    memory.add([Memory(record_id, user, "left", vector)])
    vault.shred(user)
    vault.flush()
    order = ErasureOrder(RequestId(""), user, is_whole_user=True, record_ids=())

    def undo() -> None:
        memory.erase(order)
        memory.maintain([user])

    return undo


def _leave_a_key(world: World) -> Callable[[], object]:
    user, vault = world.user("gone"), world.adapters.vault
    vault.ensure([user])

    def undo() -> None:
        vault.shred(user)
        vault.flush()

    return undo


def _leave_a_file(world: World) -> Callable[[], object]:
    file = world.adapters.settings.data_dir / "chroma" / "forgotten.bak"
    file.write_bytes(b"... " + world.user("gone").encode() + b" ...")
    return file.unlink


def _leave_the_state(world: World) -> Callable[[], object]:
    user, neighbours = world.user("gone"), world.adapters.neighbours
    neighbours.apply({user: [ItemId("sea-01")]})
    return lambda: neighbours.apply({user: []})


@pytest.mark.parametrize(
    ("leave", "claims"),
    [
        (_leave_a_row, {Claim.ROWS, Claim.BYTES}),
        (_leave_a_memory, {Claim.MEMORIES, Claim.BYTES}),
        (_leave_a_key, {Claim.KEYS, Claim.BYTES}),
        (_leave_a_file, {Claim.BYTES}),
        (_leave_the_state, {Claim.STATE}),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_whatever_is_left_is_found_where_it_is(
    world: World, leave: Callable[[World], Callable[[], object]], claims: set[Claim]
) -> None:
    undo = leave(world)
    try:
        assert against(prove(world, "gone")) == claims
    finally:
        undo()

    assert prove(world, "gone").is_as_never_seen
