"""The MovieLens data sets for benchmarks, and the one split that all of them use.

The data are not part of the project: ``LETHE_MOVIELENS_DIR`` names a folder with GroupLens'
``u.data`` and ``u.item`` (ML-100K), ``LETHE_ML1M_DIR`` one with ``train.txt`` and
``test.txt`` (ML-1M as implicit lists: a line a user, the user and then the items),
``LETHE_RECBOLE_FILE`` an ``.inter`` file of RecBole or its folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.adapters.datasets.recbole import RecBoleDataset
from app.ports.dataset import BadLine, InteractionRecord

Ints = NDArray[np.int64]

SEED: Final = 2026


@dataclass(frozen=True, slots=True)
class Dataset:
    """Who interacted with what.

    Args:
        name: ``ml-100k``, ``ml-1m`` or ``recbole``.
        histories: a user's items, ascending, distinct, 0-based, for each user.
        n_items: items are below it.
        item_ids: the data set's own ids, by item.
        ratings: 1 to 5, aligned with ``histories``; None where the data have none.
        times: seconds since 1970, aligned with ``histories``; None where the data have none.
        traits: genres, shape (n_items, n_genres), 0 or 1; None where the data have none.
        titles: by item; None where the data have none.
    """

    name: str
    histories: list[Ints]
    n_items: int
    item_ids: list[str]
    ratings: list[Ints] | None = None
    times: list[Ints] | None = None
    traits: NDArray[np.float64] | None = None
    titles: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """A user's items in three disjoint parts, each ascending, for each user."""

    train: list[Ints]
    valid: list[Ints]
    test: list[Ints]


def load(name: str) -> Dataset:
    """Read a data set by name.

    Raises:
        KeyError: no such data set, or its environment variable is not set.
        OSError: its folder lacks a file.
    """
    readers = {
        "ml-100k": ("LETHE_MOVIELENS_DIR", read_ml_100k),
        "ml-1m": ("LETHE_ML1M_DIR", read_ml_1m),
        "recbole": ("LETHE_RECBOLE_FILE", read_recbole),
    }
    variable, reader = readers[name]
    return reader(Path(os.environ[variable]))


def read_ml_100k(folder: Path) -> Dataset:
    """Read ML-100K: 943 users, 1,682 films, 100,000 ratings, all of them counted as positive."""
    rows = np.loadtxt(folder / "u.data", dtype=np.int64)
    films = [line.split("|") for line in (folder / "u.item").read_text("latin-1").splitlines()]
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    borders = np.flatnonzero(np.diff(rows[:, 0])) + 1
    return Dataset(
        name="ml-100k",
        histories=np.split(rows[:, 1] - 1, borders),
        n_items=len(films),
        item_ids=[film[0] for film in films],
        ratings=np.split(rows[:, 2], borders),
        times=np.split(rows[:, 3], borders),
        traits=np.array([[float(flag) for flag in film[5:]] for film in films]),
        titles=[film[1] for film in films],
    )


def read_ml_1m(folder: Path) -> Dataset:
    """Read ML-1M as implicit lists, both parts merged: 6,040 users, 3,695 items, 920,193 pairs."""
    items: dict[int, set[int]] = {}
    for part in ("train.txt", "test.txt"):
        for line in (folder / part).read_text("utf-8").splitlines():
            user, *row = map(int, line.split())
            items.setdefault(user, set()).update(row)
    histories = [np.array(sorted(items[user]), dtype=np.int64) for user in sorted(items)]
    n_items = 1 + max(int(history[-1]) for history in histories if len(history))
    return Dataset(
        name="ml-1m",
        histories=histories,
        n_items=n_items,
        item_ids=[str(item) for item in range(n_items)],
    )


def read_recbole(path: Path) -> Dataset:
    """Read RecBole's atomic files as the service does, every pair counted once as positive.

    Raises:
        ValueError: a line could not be read.
    """
    source = RecBoleDataset(path, now=datetime.now(UTC))
    items: dict[str, set[str]] = {}
    for record in source.interactions():
        match record:
            case BadLine(file=file, message=message):
                raise ValueError(f"{file}: {message}")
            case InteractionRecord(interaction=act):
                items.setdefault(act.user, set()).add(str(act.item_id))
    ids = sorted(set().union(*items.values()))
    number = {name: at for at, name in enumerate(ids)}
    rows = [sorted(number[name] for name in items[user]) for user in sorted(items)]
    return Dataset(
        name="recbole",
        histories=[np.array(row, dtype=np.int64) for row in rows],
        n_items=len(ids),
        item_ids=ids,
    )


def split(histories: Sequence[Ints], *, seed: int = SEED) -> Split:
    """Split every user's items 8:1:1 at random, without leaks.

    ``int(n / 10)`` items each go to the test and the validation part, the rest to training.
    A user's parts depend on the seed, the user's number and items alone, so they stay the
    same when other users are forgotten.
    """
    parts = Split([], [], [])
    for user, history in enumerate(histories):
        shuffled = np.random.default_rng([seed, user]).permutation(history)
        tenth = len(history) // 10
        parts.test.append(np.sort(shuffled[:tenth]))
        parts.valid.append(np.sort(shuffled[tenth : 2 * tenth]))
        parts.train.append(np.sort(shuffled[2 * tenth :]))
    return parts


def forgotten_users(n_users: int, *, share: float, seed: int = SEED) -> Ints:
    """Return the users who ask to be forgotten, a random ``share`` of all, ascending."""
    chosen = np.random.default_rng([seed, n_users]).permutation(n_users)
    return np.sort(chosen[: round(share * n_users)])
