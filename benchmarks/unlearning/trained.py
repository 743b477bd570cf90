"""The two learned backbones, BPR matrix factorisation and LightGCN, on the CPU with torch.

One implementation with the quality benchmark: ``benchmarks.quality.neural``. Stopped on the
validation part; the same seed and pairs give the same embeddings on one machine.
"""

from __future__ import annotations

import time
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.data import Ints, Split
from benchmarks.quality import metrics, neural
from benchmarks.quality.neural import LightGcn, Setting, quicken, train
from benchmarks.unlearning import protocol
from benchmarks.unlearning.protocol import Floats, Interactions
from benchmarks.unlearning.shared_fits import Fit, keep, place_of, read

LAYERS: Final = {"bpr": 0, "lightgcn": 2}


def neural_setting(name: str, chosen: protocol.Setting, *, seed: int) -> Setting:
    """Return how to train the backbone ``name``; ``chosen`` are fields of ``Setting``."""
    given = {
        "rate": 0.005,
        "decay": 0.01,
        "dim": 64,
        "batch": 4096,
        "patience": 4,
        "every": 5,
        "max_cpu_s": float("inf"),
        "max_epochs": 200,
        **chosen,
    }
    return Setting(layers=LAYERS[name], seed=seed, **given)  # type: ignore[arg-type] # checked by the first run


class Trained:
    """BPR matrix factorisation or LightGCN.

    After ``fit``: ``model`` is the trained network, with its parameter ``model.table`` (users,
    then items, shape (n_users + n_items, dim)), its ``loss`` and ``final`` embeddings.

    Args:
        name: ``bpr`` or ``lightgcn``.
        setting: rate, decay, dim, batch, and when to stop.
        seed: of initial values and samples.
    """

    model: LightGcn

    def __init__(self, name: str, *, setting: protocol.Setting, seed: int) -> None:
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(mode=True)
        self.setting = neural_setting(name, setting, seed=seed)
        self.facts: dict[str, object] = {}

    def fit(
        self, train_on: Interactions, *, valid: Interactions, start: torch.Tensor | None = None
    ) -> None:
        """Train; stop on ``valid``, of those who are in both.

        Args:
            train_on: the pairs.
            valid: the validation part.
            start: a table to go on from, as a checkpoint; by default fresh initial values.
        """
        place = place_of(lambda: _described(self.setting, train_on, valid=valid, start=start))
        if place is not None and place.exists():
            self._restore(read(place), train_on)
        else:
            begun = time.process_time()
            self._train(train_on, valid=valid, start=start)
            if place is not None:
                table = self.model.table.detach().numpy()
                keep(place, Fit(table, self.facts, time.process_time() - begun))
        self.served(train_on)

    def _train(
        self, train_on: Interactions, *, valid: Interactions, start: torch.Tensor | None
    ) -> None:
        parts = Split(train_on.histories, _padded(valid, n_users=train_on.n_users), [])
        users = np.intersect1d(train_on.users, valid.users)
        self.model, self.facts = train(
            parts, n_items=train_on.n_items, users=users, setting=self.setting, start=start
        )

    def _restore(self, fit: Fit, train_on: Interactions) -> None:
        quicken()
        self.model = LightGcn(train_on.histories, n_items=train_on.n_items, setting=self.setting)
        self.model.table.data.copy_(torch.from_numpy(fit.table))
        self.facts = fit.facts

    def served(self, left: Interactions) -> None:
        """Serve the model as it is now; who has nothing in ``left`` gets its popular order."""
        with torch.no_grad():
            users, items = (part.numpy().copy() for part in self.model.final())
        self.user_vectors, self.item_vectors = users, items
        self._popular = left.degrees.astype(np.float32)
        self._known = left.lengths > 0

    def scores(self, users: Ints) -> Floats:
        """Return products of vectors, and popularity for those without a pair."""
        scores = self.exposed(users)
        scores[~self._known[users]] = self._popular
        return scores

    def exposed(self, users: Ints) -> Floats:
        """Return products of vectors, for everybody."""
        scores: Floats = self.user_vectors[users] @ self.item_vectors.T
        return scores

    def state_bytes(self) -> int:
        """Return the size of the table."""
        return int(self.model.table.nbytes)


def learned_backbone(setup: protocol.Setup, *, seed: int | None = None) -> Trained:
    """Return the set-up's backbone, unfitted; ``seed`` in place of the set-up's."""
    return Trained(
        setup.backbone,
        setting=setup.backbone_setting,
        seed=setup.seed if seed is None else seed,
    )


def _padded(valid: Interactions, *, n_users: int) -> list[Ints]:
    none = np.empty(0, dtype=np.int64)
    return [*valid.histories, *([none] * (n_users - valid.n_users))]


def _described(
    setting: Setting, train_on: Interactions, *, valid: Interactions, start: torch.Tensor | None
) -> tuple[object, ...]:
    pairs = [sha256(part.keys.tobytes()).hexdigest() for part in (train_on, valid)]
    shape = (train_on.n_users, train_on.n_items, valid.n_users)
    begun = None if start is None else sha256(start.numpy().tobytes()).hexdigest()
    return setting, pairs, shape, begun, _code()


@cache
def _code() -> str:
    """Return a hash of the code that a fit depends on."""
    files = (__file__, neural.__file__, metrics.__file__)
    return sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()
