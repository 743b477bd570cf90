"""Explores every state that the rules allow for three workers and one request."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import cache
from typing import Final

from app.domain.erasure.request import TRANSITIONS
from app.domain.erasure.request import RequestState as State
from tests.stateful.leases import WAY, WORKABLE, Row, World, Write, successors

PLAN: Final[tuple[Write, ...]] = (
    *(State.ERASING, "step", State.SCRUBBED, State.VERIFYING, "step"),
    State.COMPLETED,
)
MOST_CLAIMS: Final = 4
START: Final = World(Row(PLAN), (None, None, None))
Graph = dict[World, list[World]]


@cache
def _explore() -> Graph:
    """Return every reachable world with its successors; bounded by the number of claims."""
    graph: Graph = {}
    waiting = deque([START])
    while waiting:
        world = waiting.popleft()
        if world not in graph:
            found = successors(world)
            graph[world] = [after for after in found if after.row.attempts <= MOST_CLAIMS]
            waiting.extend(graph[world])
    return graph


def test_the_exploration_is_not_trivial() -> None:
    graph = _explore()

    assert len(graph) > 1_000
    assert any(world.row.state is State.COMPLETED for world in graph)
    assert any(len([f for f in world.fences if f]) == 2 for world in graph)


def test_the_rules_make_exactly_the_moves_that_the_service_allows() -> None:
    reached = {world.row.state for world in _explore()}

    made = {
        (world.row.state, after.row.state) for world, found in _explore().items() for after in found
    }

    assert reached == set(State)
    assert {(source, target) for source, target in made if source is not target} == {
        (source, target) for source, target in TRANSITIONS if source is not None
    }


def test_at_most_one_worker_can_write_at_any_time() -> None:
    assert all(len(world.holders()) <= 1 for world in _explore())


def test_a_worker_that_slept_through_its_lease_can_write_nothing_once_another_has_claimed() -> None:
    late = [
        (world, fence)
        for world in _explore()
        for fence in world.fences
        if fence is not None and fence < world.row.fence
    ]

    assert late
    assert all(world.row.written(fence=fence) is None for world, fence in late)


def test_nothing_moves_a_request_when_it_is_final() -> None:
    for world, found in _explore().items():
        if world.row.state in {State.COMPLETED, State.REJECTED}:
            still = replace(world.row, lease=None, wait=0)
            assert all(replace(after.row, lease=None, wait=0) == still for after in found)


def test_attempts_never_go_back_and_progress_only_by_a_retry_or_residue() -> None:
    for world, found in _explore().items():
        for after in found:
            before, now = world.row, after.row
            assert now.attempts >= before.attempts
            assert now.fence == now.attempts
            if now.state in WAY and before.state in WAY:
                is_residue = (before.state, now.state) == (State.VERIFYING, State.ERASING)
                assert is_residue or WAY.index(now.state) >= WAY.index(before.state)
                assert is_residue or now.n_steps >= before.n_steps


def test_a_request_completes_from_everywhere_when_crashes_stop() -> None:
    rows = {world.row for world in _explore() if world.row.state is not State.REJECTED}

    assert [row for row in rows if not _can_complete(row)] == []


def _can_complete(row: Row) -> bool:
    """Let one worker finish the request while all others stand still."""
    for _ in range(2 * len(PLAN) + 10):
        row = row.retried() or row.let_go() or row
        claimed = row.claimed()
        if claimed is None and row.state in WORKABLE:
            row = row.ticked()
            continue
        row = claimed or row
        while (written := row.written(fence=row.fence)) is not None:
            row = written
    return row.state is State.COMPLETED


def test_two_workers_would_write_if_nobody_asked_for_the_fence() -> None:
    assert any(len(world.holders(is_fenced=False)) > 1 for world in _explore())
