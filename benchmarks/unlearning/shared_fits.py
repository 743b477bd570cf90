"""Fits that are made once: the same backbone, setting, seed and pairs give the same table.

Settings of what comes after training (an aggregation, a damping) share the shards or the table
below them, and methods that edit a plain backbone share its fit. Within ``shared_fits`` a fit
that was made before, by whatever process, is read from a folder. Requests are timed outside of
it: none is ever answered from there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class Shared:
    """What was spared.

    Args:
        folder: where fits lie.
        spared_s: processor seconds that the fits took that were read instead of made.
    """

    folder: Path
    spared_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What training made.

    Args:
        table: its parameters.
        facts: how it went.
        cpu_s: processor seconds that it took.
    """

    table: NDArray[np.float32]
    facts: dict[str, object]
    cpu_s: float


_SHARED: ContextVar[Shared | None] = ContextVar("shared", default=None)


@contextmanager
def shared_fits(folder: Path) -> Iterator[Shared]:
    """Read fits from ``folder`` that were made before, and keep there what is made."""
    shared = Shared(folder)
    token = _SHARED.set(shared)
    try:
        yield shared
    finally:
        _SHARED.reset(token)


def place_of(describe: Callable[[], tuple[object, ...]]) -> Path | None:
    """Return where a fit lies; None where none is shared, and then it is not described.

    Args:
        describe: says in full what the fit depends on.
    """
    shared = _SHARED.get()
    if shared is None:
        return None
    return shared.folder / f"{sha256(repr(describe()).encode()).hexdigest()[:32]}.npz"


def read(path: Path) -> Fit:
    """Return a fit that ``keep`` wrote."""
    with np.load(path) as kept:
        fit = Fit(kept["table"], json.loads(str(kept["facts"])), float(kept["cpu_s"]))
    if (shared := _SHARED.get()) is not None:
        shared.spared_s += fit.cpu_s
    return fit


def keep(path: Path, fit: Fit) -> None:
    """Write a fit; a file that is there is whole, whoever else makes the same fit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(partial, table=fit.table, facts=np.array(json.dumps(fit.facts)), cpu_s=fit.cpu_s)
    partial.replace(path)
