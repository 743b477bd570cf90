"""A plain learned backbone whose table is edited in the place of training it anew."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch

from benchmarks.data import Ints
from benchmarks.unlearning.influence import Objective, Propagation, Triples
from benchmarks.unlearning.protocol import PAIR_BYTES, Floats, Interactions, Setup
from benchmarks.unlearning.trained import LAYERS, learned_backbone


class Edited(ABC):
    """The parts that IFRU, SCIF, RRL and AltEraser share; each writes its own ``edit``."""

    name: str
    why_in_weights: str

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.backbone = learned_backbone(setup)

    def fit(self, train: Interactions) -> None:
        """Train the backbone."""
        self.left = train
        self.backbone.fit(train, valid=self._setup.valid_of(train))

    def forget(self, gone: Interactions) -> None:
        """Edit the table; serve from what is left."""
        left = self.left.without(gone)
        table = self.table()
        edited = self.edit(table, gone=gone, left=left)
        with torch.no_grad():
            self.backbone.model.table.copy_(torch.from_numpy(edited.astype(np.float32)))
        self.backbone.model.use_graph(left.histories)
        self.backbone.served(left)
        self.left = left

    @abstractmethod
    def edit(self, table: Floats, *, gone: Interactions, left: Interactions) -> Floats:
        """Return the table without ``gone``; ``self.left`` still has it."""

    def table(self) -> Floats:
        """Return a copy of the table."""
        copied: Floats = self.backbone.model.table.detach().numpy().copy()
        return copied

    def objective(self, triples: Triples, *, graph: Interactions, each: int) -> Objective:
        """Return the backbone's loss over these triples, propagated over ``graph``."""
        return Objective(
            triples,
            shape=(graph.n_users, graph.n_items),
            propagate=Propagation(graph, layers=LAYERS[self._setup.backbone]),
            weight=1 / each,
            decay=self.backbone.setting.decay,
        )

    def scores(self, users: Ints) -> Floats:
        """Return the backbone's."""
        return self.backbone.scores(users)

    def exposed(self, users: Ints) -> Floats:
        """Return the backbone's."""
        return self.backbone.exposed(users)

    def state_bytes(self) -> int:
        """Return the table and the pairs."""
        return self.backbone.state_bytes() + PAIR_BYTES * len(self.left)

    def personal_data_in_weights(self) -> str:
        """Say what is left."""
        return self.why_in_weights
