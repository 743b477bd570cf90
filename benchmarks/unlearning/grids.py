"""Which cells are measured: a reduced grid for an hour on two cores, and the full one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.unlearning.backbones import LEARNED
from benchmarks.unlearning.cell import Limits
from benchmarks.unlearning.protocol import Method
from benchmarks.unlearning.scenarios import SCENARIOS


@dataclass(frozen=True, slots=True)
class Grid:
    """A choice of cells.

    Args:
        name: ``reduced`` or ``full``.
        data: names of data sets.
        seeds: of the original systems; each gets references of its own.
        limits: how much of a costly scenario is run.
        scenarios: by backbone; the key ``""`` is for all others.
        skipped: scenarios that a costly method is not run in, by method.
    """

    name: str
    data: tuple[str, ...]
    seeds: tuple[int, ...]
    limits: Limits
    scenarios: Mapping[str, tuple[str, ...]]
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, group: Group) -> list[str]:
        """Return the names of a group's scenarios."""
        every = self.scenarios.get(group.backbone, self.scenarios[""])
        return [name for name in every if name not in self.skipped.get(group.method, ())]


WITHOUT_TRAITS: Final = ("ml-1m", "recbole")
"""Data sets that say nothing about topics."""
_OTHERS_FIT: Final = "poison"
_EVERY: Final = (*(name for name in SCENARIOS if name != _OTHERS_FIT), _OTHERS_FIT)
"""Poison comes last: it has an original of its own, and of the others' one is kept."""
_FEW: Final = ("stream",)
"""Too few requests of a costly method would end in the time of a stream to tell anything."""

GRIDS: Final = {
    "reduced": Grid(
        name="reduced",
        data=("ml-100k",),
        seeds=(0,),
        limits=Limits(requests_s=10.0, observed=1, stream_s=20.0, checkpoints=2),
        scenarios={
            "": _EVERY,
            "bpr": (
                "users-random-10",
                "one-user",
                "users-random-1",
                "users-random-5",
                "users-most-5",
                "users-least-5",
                "pairs-random-0.01",
                "topic",
                "stream",
                "poison",
            ),
            "lightgcn": (
                "users-random-10",
                "one-user",
                "users-most-5",
                "users-least-5",
                "topic",
                "poison",
            ),
        },
        skipped=dict.fromkeys(("receraser_item", "receraser_pair", "sisa_pairs"), _FEW),
    ),
    "full": Grid(
        name="full",
        data=("ml-100k", "ml-1m"),
        seeds=(0, 1, 2, 3, 4),
        limits=Limits(requests_s=3600.0, observed=100, stream_s=7200.0, checkpoints=4),
        scenarios={"": _EVERY},
    ),
}
"""By name."""


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """The cells that one process measures: they share the fitted original."""

    is_learned: bool
    rank: int
    data: str
    backbone: str
    method: str
    seed: int


def groups(grid: Grid, methods: Mapping[str, Method]) -> list[Group]:
    """Return the grid's groups, cheap and shared ones first."""
    return sorted(
        Group(
            is_learned=backbone in LEARNED,
            rank=0 if method.name == "retrain" else 1,
            data=data,
            backbone=backbone,
            method=method.name,
            seed=seed,
        )
        for data in grid.data
        for seed in grid.seeds
        for method in methods.values()
        for backbone in method.backbones
    )


def cells(grid: Grid, group: Group, method: Method, *, only: Sequence[str] = ()) -> dict[str, str]:
    """Return a group's scenarios, each with the name of its cell, which is its file's."""
    found = {}
    for scenario in grid.of(group):
        if only and scenario not in only:
            continue
        is_known = scenario != "topic" or group.data not in WITHOUT_TRAITS
        if is_known and (not method.scenarios or scenario in method.scenarios):
            short = scenario.replace(".", "-")
            name = f"{group.data}_{group.backbone}_{group.method}_{short}_s{group.seed}"
            found[scenario] = name
    return found


def is_done(folder: Path, name: str, *, grid: Grid, tried: int) -> bool:
    """Whether a cell was measured under this grid's limits, the best of ``tried`` settings."""
    path = folder / f"{name}.json"
    if not path.exists():
        return False
    found = json.loads(path.read_text("utf-8"))
    return bool(found["limits"] == asdict(grid.limits) and found["settings_tried"] >= tried)
