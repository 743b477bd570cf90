"""Every world that the rules allow, looked at one by one: three workers, one request."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Final

from tests.stateful.leases import Row, State, World, successors

LENGTH: Final = 4
MOST_CLAIMS: Final = 5
START: Final = World(Row(LENGTH), (None, None, None))
Graph = dict[World, list[World]]


def _explore(start: World = START) -> Graph:
    """Return every reachable world with its successors; bounded by the number of claims."""
    graph: Graph = {}
    waiting = deque([start])
    while waiting:
        world = waiting.popleft()
        if world not in graph:
            found = successors(world, may_crash=True)
            graph[world] = [after for after in found if after.row.attempts <= MOST_CLAIMS]
            waiting.extend(graph[world])
    return graph


def test_the_exploration_is_not_trivial() -> None:
    graph = _explore()

    assert len(graph) > 1_000
    assert any(world.row.state is State.DONE for world in graph)
    assert any(len([f for f in world.fences if f]) == 2 for world in graph)


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


def test_nothing_moves_a_completed_request() -> None:
    for world, found in _explore().items():
        if world.row.state is State.DONE:
            assert all(replace(after.row, lease=0, wait=0) == world.row for after in found)


def test_attempts_and_progress_never_go_back() -> None:
    for world, found in _explore().items():
        for after in found:
            assert after.row.attempts >= world.row.attempts
            assert after.row.place >= world.row.place
            assert after.row.fence == after.row.attempts


def test_a_request_completes_from_everywhere_when_crashes_stop() -> None:
    for world in _explore():
        assert _can_complete(world), world


def _can_complete(world: World) -> bool:
    """Let one worker do the obvious thing; with all others frozen where they are."""
    row = world.row
    for _ in range(2 * LENGTH + 10):
        row = row.retried() or row
        claimed = row.claimed()
        if claimed is None and row.state is State.OPEN:
            row = row.tick()
            continue
        row = claimed or row
        while (written := row.written(fence=row.fence)) is not None:
            row = written
    return row.state is State.DONE


def test_two_workers_would_write_if_nobody_asked_for_the_fence() -> None:
    assert any(len(world.holders(is_fenced=False)) > 1 for world in _explore())
