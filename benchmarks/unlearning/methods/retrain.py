"""Retrain: fit the backbone from nothing on what is left. What every other is measured by."""

from __future__ import annotations

from benchmarks.data import Ints
from benchmarks.unlearning.backbones import CLOSED, LEARNED, backbone
from benchmarks.unlearning.protocol import PAIR_BYTES, Floats, Interactions, Method, Setup


class Retrain:
    """Any backbone, fitted again at every request."""

    name = "retrain"

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.backbone = backbone(setup)

    def fit(self, train: Interactions) -> None:
        """Fit the backbone."""
        self._train = train
        self.backbone.fit(train, valid=self._setup.valid_of(train))

    def forget(self, gone: Interactions) -> None:
        """Fit it again."""
        self.fit(self._train.without(gone))

    def scores(self, users: Ints) -> Floats:
        """Return the backbone's."""
        return self.backbone.scores(users)

    def exposed(self, users: Ints) -> Floats:
        """Return the backbone's."""
        return self.backbone.exposed(users)

    def state_bytes(self) -> int:
        """Return the backbone's and the pairs."""
        return self.backbone.state_bytes() + PAIR_BYTES * len(self._train)

    def personal_data_in_weights(self) -> str:
        """Say that nothing is left."""
        return "no: fitted from nothing on what is left"


METHODS = (
    Method(
        name="retrain",
        backbones=(*CLOSED, *LEARNED),
        make=Retrain,
        note="The backbone, fitted again. Its own tuning is the backbone's.",
    ),
)
