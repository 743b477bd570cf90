"""Whether left-over vectors can be read without the key.

    .venv/bin/python -m benchmarks.vault.inversion

Memories of simulated users (books of the demo set, the packaged embedder) are stored plain, under
one rotation a user, and under one a record, which is what the service does. All are rounded as the
service rounds them, and the attacker, who has read its code, rounds the catalogue likewise. Each
attack of ``attacks`` then names the book behind every stored vector. Goes on at the store where an
earlier call was cut off; writes ``results/inversion.json`` and ``docs/images/inversion.png``.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from app.adapters.chroma.grid import on_grid
from app.adapters.datasets.registry import open_dataset
from app.adapters.embedders.static import StaticEmbedder
from app.adapters.system.clock import SystemClock
from app.domain.privacy.rotation import quantise, rotate
from app.domain.recommendation.memory import describe_item
from app.ports.dataset import BadLine, DatasetKind
from benchmarks.harness import write_result
from benchmarks.vault.attacks import (
    Floats,
    Ints,
    by_geometry,
    nearest,
    rotation_by_least_squares,
    rotation_by_signs,
)

mpl.use("Agg")
import matplotlib.pyplot as plt

SEED: Final = 2026
N_USERS: Final = 10
N_ATTACKED: Final = 128
KNOWN: Final = (0, 8, 16, 32, 64, 128, 256, 512)
SIZES: Final = (3, 5, 10, 30, 100)
RESTARTS: Final = 10
N_SUSPECTS: Final = 20
N_CONFIRMATIONS: Final = 300
STATE: Final = Path("build/inversion.json")
PICTURE: Final = Path(__file__).parents[2] / "docs" / "images" / "inversion.png"
Store = Callable[[Floats], Floats]


def catalogue_vectors() -> Floats:
    """Return the demo books' vectors as the service rounds them, shape (n, dim), each once."""
    dataset = open_dataset(DatasetKind.DEMO, None, now=SystemClock().now())
    texts = [describe_item(one.item) for one in dataset.items() if not isinstance(one, BadLine)]
    return _unit(np.unique(quantise(StaticEmbedder().embed(texts)), axis=0))


def _unit(vectors: NDArray[np.float32]) -> Floats:
    wide = vectors.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))


def stored_plain(vectors: Floats) -> Floats:
    """Store as they are, as every vector database does."""
    return _unit(on_grid(vectors.astype(np.float32)))


def stored_by_user(vectors: Floats) -> Floats:
    """Store under one transform for all of a new user's records."""
    return _rotated(vectors, labels=["user"] * len(vectors))


def stored_by_record(vectors: Floats) -> Floats:
    """Store as the service does: one transform for each record."""
    return _rotated(vectors, labels=[secrets.token_hex(16) for _ in vectors])


def _rotated(vectors: Floats, *, labels: Sequence[str]) -> Floats:
    """Return what lies in Chroma's index, which normalises what it is given."""
    plain = quantise(vectors.astype(np.float32))
    keys = [secrets.token_bytes(32)] * len(labels)
    return _unit(on_grid(rotate(plain, keys=keys, labels=labels)))


STORES: Final[dict[str, Store]] = {
    "plain": stored_plain,
    "one rotation a user": stored_by_user,
    "one rotation a record": stored_by_record,
}


def hits(guess: Ints, truth: Ints) -> float:
    """Return the share of right guesses."""
    return float(np.mean(guess == truth))


def known_pairs(
    store: Store, catalogue: Floats, *, k: int, rng: np.random.Generator
) -> list[float]:
    """Return what least squares and signs recover of N_ATTACKED records, k others known."""
    order = rng.permutation(len(catalogue))
    truth, known = order[:N_ATTACKED], order[N_ATTACKED : N_ATTACKED + k]
    stored = store(catalogue[np.concatenate([truth, known])])
    attacked, seen = stored[:N_ATTACKED], stored[N_ATTACKED:]
    if k == 0 or store is stored_plain:  # there is nothing to be solved for
        return [hits(nearest(attacked, catalogue), truth)] * 2
    by_squares = rotation_by_least_squares(catalogue[known], seen)
    by_signs, _ = rotation_by_signs(catalogue[known], seen, rng=rng, restarts=RESTARTS)
    return [
        hits(nearest(attacked @ rotation.T, catalogue), truth)
        for rotation in (by_squares, by_signs)
    ]


def no_text_known(store: Store, catalogue: Floats, *, m: int, rng: np.random.Generator) -> float:
    """Return what the geometry of m records gives away."""
    truth = rng.permutation(len(catalogue))[:m]
    return hits(by_geometry(store(catalogue[truth]), catalogue), truth)


def confirmed(store: Store, catalogue: Floats, *, rng: np.random.Generator) -> float:
    """Return how often the best fit of N_SUSPECTS items to one record is the right one."""
    suspects = rng.permutation(len(catalogue))[:N_SUSPECTS]
    stored = store(catalogue[suspects[:1]])
    if store is stored_plain:
        return hits(nearest(stored, catalogue[suspects]), np.zeros(1, dtype=np.int64))
    fits = [
        rotation_by_signs(catalogue[[item]], stored, rng=rng, restarts=RESTARTS)[1]
        for item in suspects
    ]
    return float(np.argmax(fits) == 0)


def measure(
    name: str, catalogue: Floats, *, n_users: int, n_confirmations: int
) -> dict[str, object]:
    """Return mean recovery rates of one store by attack."""
    rng, store, users = np.random.default_rng(SEED), STORES[name], range(n_users)
    started = time.perf_counter()
    pairs = {
        k: np.mean([known_pairs(store, catalogue, k=k, rng=rng) for _ in users], axis=0)
        for k in KNOWN
    }
    geometry = {
        m: np.mean([no_text_known(store, catalogue, m=m, rng=rng) for _ in users]) for m in SIZES
    }
    confirming = [confirmed(store, catalogue, rng=rng) for _ in range(n_confirmations)]
    return {
        "nearest": round(float(pairs[0][0]), 4),
        "least_squares": {str(k): round(float(pair[0]), 4) for k, pair in pairs.items()},
        "signs": {str(k): round(float(pair[1]), 4) for k, pair in pairs.items()},
        "geometry": {str(m): round(float(rate), 4) for m, rate in geometry.items()},
        "confirm_one_of_20": round(float(np.mean(confirming)), 4),
        "seconds": round(time.perf_counter() - started, 1),
    }


def draw(found: dict[str, dict[str, object]], *, chance: float) -> None:
    """Draw the recovery rates."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), sharey=True, layout="constrained")
    panels = (
        ("geometry", "no text known", "records left over"),
        ("least_squares", "least squares", "known text-vector pairs"),
        ("signs", "solving for the signs", "known text-vector pairs"),
    )
    styles = ("o-", "s-", "^-")
    for axis, (attack, title, label) in zip(axes, panels, strict=True):
        for (name, rates), style in zip(found.items(), styles, strict=True):
            points = rates[attack]
            if isinstance(points, dict):
                axis.plot(range(len(points)), list(points.values()), style, label=name)
                axis.set_xticks(range(len(points)), list(points))
        axis.axhline(chance, color="grey", linewidth=0.8, linestyle=":")
        axis.set_title(title)
        axis.set_xlabel(label)
    axes[0].set_ylabel("memories recognised")
    axes[0].set_ylim(-0.03, 1.03)
    axes[0].legend(loc="center right")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=120)


def main() -> None:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=N_USERS)
    parser.add_argument("--confirmations", type=int, default=N_CONFIRMATIONS)
    options = parser.parse_args()
    counts = {"n_users": options.users, "n_confirmations": options.confirmations}
    catalogue = catalogue_vectors()
    STATE.parent.mkdir(exist_ok=True)
    found = json.loads(STATE.read_text(encoding="utf-8")) if STATE.exists() else {}
    for name in STORES:
        if name not in found:
            found[name] = measure(name, catalogue, **counts)
            STATE.write_text(json.dumps(found), encoding="utf-8")
            print(name, found[name], flush=True)
    chance = 1 / len(catalogue)
    write_result(
        "inversion",
        {
            "seed": SEED,
            "catalogue_items": len(catalogue),
            "chance": round(chance, 5),
            "users": options.users,
            "confirmations": options.confirmations,
            "attacked_records_a_user": N_ATTACKED,
            "restarts": RESTARTS,
            "stores": found,
        },
    )
    draw(found, chance=chance)


if __name__ == "__main__":
    main()
