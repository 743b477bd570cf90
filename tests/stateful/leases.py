"""The rules of claim, heartbeat, work and administration as pure functions.

What SQL and the services are held against. Time is whole ticks. Nothing here knows SQL, threads
or stores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from app.domain.erasure.request import RequestState as State

LEASE_TICKS: Final = 2
BACKOFF_TICKS: Final = 1
WAY: Final = (
    *(State.SUPPRESSED, State.ERASING, State.SCRUBBED, State.VERIFYING),
    State.COMPLETED,
)
"""States in the order of the work; in all but the last a request may be claimed."""
WORKABLE: Final = WAY[:-1]
Write = State | Literal["step"]
"""A state to enter, or a step to journal."""


@dataclass(frozen=True, slots=True)
class Row:
    """A request in SQL.

    Args:
        plan: what there is to write, in this order.
        n_steps: steps in the journal.
        lease: ticks until the lease ends, 0 for one that has ended; None where nobody has one.
        wait: ticks until anyone may claim.
    """

    plan: tuple[Write, ...]
    state: State = State.SUPPRESSED
    n_steps: int = 0
    fence: int = 0
    attempts: int = 0
    lease: int | None = None
    wait: int = 0

    def next_write(self) -> Write | None:
        """Return the first of the plan that is not yet done; None outside the work."""
        if self.state not in WORKABLE:
            return None
        n_steps = 0
        for write in self.plan:
            if isinstance(write, State):
                if WAY.index(write) > WAY.index(self.state):
                    return write
            elif (n_steps := n_steps + 1) > self.n_steps:
                return write
        return None

    def ticked(self) -> Row:
        """Return the row a tick later."""
        lease = self.lease and self.lease - 1
        return replace(self, lease=lease, wait=max(0, self.wait - 1))

    def claimed(self) -> Row | None:
        """Return the row with a new lease; None where it may not be claimed now."""
        if self.state not in WORKABLE or self.lease or self.wait:
            return None
        return replace(self, fence=self.fence + 1, attempts=self.attempts + 1, lease=LEASE_TICKS)

    def written(self, *, fence: int) -> Row | None:
        """Return the row after the next write of the holder of ``fence``; None if it is old."""
        write = self.next_write()
        if self.fence != fence or write is None:
            return None
        if isinstance(write, State):
            return self._moved(write)
        return replace(self, n_steps=self.n_steps + 1)

    def started_over(self, *, fence: int) -> Row | None:
        """Return the row after its holder found residue: erased again from the first step."""
        if self.fence != fence or self.state is not State.VERIFYING:
            return None
        return replace(self, state=State.ERASING, n_steps=0)

    def beaten(self, *, fence: int) -> Row | None:
        """Return the row with its lease renewed; None if ``fence`` is old or nobody has one."""
        if self.fence != fence or self.lease is None:
            return None
        return replace(self, lease=LEASE_TICKS)

    def released(self, *, fence: int) -> Row | None:
        """Return the row given back at once; None if ``fence`` is old."""
        return None if self.fence != fence else replace(self, lease=None)

    def put_off(self, *, fence: int) -> Row | None:
        """Return the row given back until later; None if ``fence`` is old."""
        return None if self.fence != fence else replace(self, lease=None, wait=BACKOFF_TICKS)

    def failed(self, *, fence: int) -> Row | None:
        """Return the row given up on; None if ``fence`` is old."""
        if self.fence != fence or self.state not in WORKABLE:
            return None
        return self._moved(State.FAILED)

    def retried(self) -> Row | None:
        """Return a failed row that an admin opened again; states after the first come again."""
        return self._moved(State.ERASING) if self.state is State.FAILED else None

    def held(self) -> Row | None:
        """Return the row on an admin's hold; None once erasing has begun."""
        return self._moved(State.ON_HOLD) if self.state is State.SUPPRESSED else None

    def let_go(self) -> Row | None:
        """Return a held row that an admin lets go on."""
        return self._moved(State.SUPPRESSED) if self.state is State.ON_HOLD else None

    def rejected(self) -> Row | None:
        """Return the row refused by an admin; None once erasing has begun."""
        is_early = self.state in {State.SUPPRESSED, State.ON_HOLD}
        return self._moved(State.REJECTED) if is_early else None

    def _moved(self, target: State) -> Row:
        if self.state in WORKABLE and target in WORKABLE:
            return replace(self, state=target)
        return replace(self, state=target, lease=None, wait=0)


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


def successors(world: World) -> Iterator[World]:
    """Yield every world that one action of anybody makes of ``world``.

    A crash forgets what the worker knew. A worker that sleeps needs no action: any order of the
    others' is in here, with ticks between, and it goes on when it goes on.
    """
    row = world.row
    for after in (row.ticked(), row.retried(), row.held(), row.let_go(), row.rejected()):
        if after is not None:
            yield replace(world, row=after)
    for n, fence in enumerate(world.fences):
        if fence is not None:
            yield World(row, _with(world.fences, n, None))
            yield from _work(world, n, fence)
        elif (claimed := row.claimed()) is not None:
            yield World(claimed, _with(world.fences, n, claimed.fence))


def _work(world: World, n: int, fence: int) -> Iterator[World]:
    row, idle = world.row, _with(world.fences, n, None)
    written = row.written(fence=fence)
    if written is not None:
        yield World(written, idle if written.state is State.COMPLETED else world.fences)
    beaten = row.beaten(fence=fence)
    if beaten is not None:
        yield replace(world, row=beaten)
    for after in (
        row.released(fence=fence),
        row.put_off(fence=fence),
        row.failed(fence=fence),
        row.started_over(fence=fence),
    ):
        if after is not None:
            yield World(after, idle)


def _with(fences: tuple[int | None, ...], n: int, fence: int | None) -> tuple[int | None, ...]:
    return (*fences[:n], fence, *fences[n + 1 :])
