"""Posting lists as files in memory, which processes of a host map and one of them changes."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.adapters.neighbours.lists import Lists
from app.adapters.neighbours.state import State
from app.domain.recommendation.users import Users

Arrays = dict[tuple[Users | Lists, int | str], np.ndarray[tuple[int, ...], np.dtype[Any]]]


@dataclass(frozen=True, slots=True)
class Shared:
    """The arrays of a state as files in memory, and the lock of those who map them."""

    folder: Path

    def write(self, state: State) -> None:
        """Write a state's arrays and the ids of its items."""
        for at, array in enumerate(_arrays(state).values()):
            np.save(self.folder / f"{at}.npy", array)
        (self.folder / "items.json").write_text(json.dumps(state.items.key), encoding="utf-8")
        for name in ("lock", "turnstile"):
            (self.folder / name).touch()

    def mapped(self) -> State:
        """Return a state over the files: what one writes to its lists, all see."""
        state = State(dense_limit=0)
        state.items.key = json.loads((self.folder / "items.json").read_text(encoding="utf-8"))
        state.items.number = {item: at for at, item in enumerate(state.items.key) if item}
        state._fit_gram()  # noqa: SLF001 - none, for there are too many items
        for at, (owner, part) in enumerate(_arrays(state)):
            array = np.asarray(np.load(self.folder / f"{at}.npy", mmap_mode="r+"))
            if isinstance(part, int) and isinstance(owner, Lists):
                owner.columns[part] = array
            else:
                setattr(owner, str(part), array)
        state.users._used = len(state.users.numbers())  # noqa: SLF001 - nobody has left yet
        return state

    @contextmanager
    def locked(self, how: int) -> Iterator[None]:
        """Hold the lock: alone, or beside others who only read.

        Whoever wants it passes a turnstile that a writer keeps shut, or readers who come one after
        another would never let a writer in.
        """
        with (self.folder / "turnstile").open() as turnstile, (self.folder / "lock").open() as lock:
            fcntl.flock(turnstile, how)
            fcntl.flock(lock, how)
            if how == fcntl.LOCK_SH:
                fcntl.flock(turnstile, fcntl.LOCK_UN)
            yield


def _arrays(state: State) -> Arrays:
    """Return a state's arrays, with where each of them belongs."""
    users, lists = state.users, (state.postings.users, state.postings.items)
    found: Arrays = {(users, part): getattr(users, part) for part in ("_ids", "_table")}
    for one in lists:
        found |= {(one, part): getattr(one, part) for part in ("start", "length", "_capacity")}
        found |= {(one, at): column for at, column in enumerate(one.columns)}
    return found
