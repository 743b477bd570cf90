"""The rules of claim, heartbeat, work and sweep as pure functions: what SQL is held against.

Time is whole ticks. Nothing here knows SQL, threads or stores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

LEASE_TICKS: Final = 2
BACKOFF_TICKS: Final = 1


class State(StrEnum):
    """What becomes of a request, as far as leases care."""

    OPEN = "open"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Row:
    """A request in SQL.

    Args:
        place: writes done, of ``length``.
        lease: ticks until the lease ends; 0 for none.
        wait: ticks until anyone may claim.
    """

    length: int
    state: State = State.OPEN
    place: int = 0
    fence: int = 0
    attempts: int = 0
    lease: int = 0
    wait: int = 0

    def tick(self) -> Row:
        """Return the row a tick later."""
        return replace(self, lease=max(0, self.lease - 1), wait=max(0, self.wait - 1))

    def claimed(self) -> Row | None:
        """Return the row with a new lease; None where it may not be claimed now."""
        if self.state is not State.OPEN or self.lease or self.wait:
            return None
        return replace(self, fence=self.fence + 1, attempts=self.attempts + 1, lease=LEASE_TICKS)

    def written(self, *, fence: int) -> Row | None:
        """Return the row after the next write of the holder of ``fence``; None if it is old."""
        if self.fence != fence or self.state is not State.OPEN:
            return None
        place = self.place + 1
        done = place == self.length
        return replace(
            self,
            place=place,
            state=State.DONE if done else State.OPEN,
            lease=0 if done else self.lease,
        )

    def beaten(self, *, fence: int) -> Row | None:
        """Return the row with its lease renewed by the holder of ``fence``; None if it is old."""
        if self.fence != fence or self.state is not State.OPEN:
            return None
        return replace(self, lease=LEASE_TICKS)

    def put_off(self, *, fence: int) -> Row | None:
        """Return the row given back until later; None if ``fence`` is old."""
        if self.fence != fence or self.state is not State.OPEN:
            return None
        return replace(self, lease=0, wait=BACKOFF_TICKS)

    def failed(self, *, fence: int) -> Row | None:
        """Return the row given up on; None if ``fence`` is old."""
        if self.fence != fence or self.state is not State.OPEN:
            return None
        return replace(self, state=State.FAILED, lease=0, wait=0)

    def retried(self) -> Row | None:
        """Return a failed row that an admin opened again; that counts as its first write."""
        if self.state is not State.FAILED:
            return None
        return replace(self, state=State.OPEN, place=max(1, self.place))


@dataclass(frozen=True, slots=True)
class World:
    """A row and its workers; each knows the fence it holds and no more (None: idle or dead)."""

    row: Row
    fences: tuple[int | None, ...]

    def holders(self, *, is_fenced: bool = True) -> list[int]:
        """Return the workers whose next write would count; ``is_fenced`` False: if none asked."""
        row, fences = self.row, enumerate(self.fences)
        asked = [(n, fence if is_fenced else row.fence) for n, fence in fences if fence]
        return [n for n, fence in asked if row.written(fence=fence)]


def successors(world: World, *, may_crash: bool) -> Iterator[World]:
    """Yield every world that one action of anybody makes of ``world``.

    A crash forgets what the worker knew. A worker that sleeps needs no action: any order of the
    others' is in here, with ticks between, and it goes on when it goes on.
    """
    yield replace(world, row=world.row.tick())
    retried = world.row.retried()
    if retried is not None:
        yield replace(world, row=retried)
    for n, fence in enumerate(world.fences):
        if fence is None:
            claimed = world.row.claimed()
            if claimed is not None:
                yield World(claimed, _with(world.fences, n, claimed.fence))
            continue
        if may_crash:
            yield World(world.row, _with(world.fences, n, None))
        yield from _work(world, n, fence)


def _work(world: World, n: int, fence: int) -> Iterator[World]:
    idle = _with(world.fences, n, None)
    written = world.row.written(fence=fence)
    if written is None:
        yield World(world.row, idle)  # it learns that it has lost the lease, and stops
        return
    yield World(written, idle if written.state is State.DONE else world.fences)
    for row in (world.row.put_off(fence=fence), world.row.failed(fence=fence)):
        if row is not None:
            yield World(row, idle)
    beaten = world.row.beaten(fence=fence)
    if beaten is not None:
        yield replace(world, row=beaten)


def _with(fences: tuple[int | None, ...], n: int, fence: int | None) -> tuple[int | None, ...]:
    return (*fences[:n], fence, *fences[n + 1 :])
