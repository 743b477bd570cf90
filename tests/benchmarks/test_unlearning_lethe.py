from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks.unlearning.cell import Bench, Limits
from benchmarks.unlearning.methods import lethe
from benchmarks.unlearning.observe import Lens
from benchmarks.unlearning.protocol import Method
from benchmarks.unlearning.scenarios import SCENARIOS
from tests.benchmarks.small_world import small_setup, small_world

BY_NAME = {method.name: method for method in lethe.METHODS}
EVERYBODY = np.arange(100)


@pytest.mark.parametrize("name", sorted(BY_NAME))
@pytest.mark.parametrize("scenario", ["users-random-10", "pairs-random-0.01", "topic", "poison"])
def test_lethe_lists_are_those_of_a_rebuild(name: str, scenario: str) -> None:
    world = small_world()
    asked = SCENARIOS[scenario](world, seed=1)
    system, never = (BY_NAME[name].make(small_setup(world)) for _ in range(2))
    system.fit(asked.train)
    never.fit(asked.train.without(asked.gone()))
    before = system.scores(EVERYBODY)

    system.forget(asked.gone())

    assert not np.array_equal(before, system.scores(EVERYBODY))
    lens = Lens.of(world, train=asked.train, gone=asked.gone())
    assert np.array_equal(lens.look(system).lists, lens.look(never).lists)


def test_settled_lethe_scores_are_the_bits_of_a_rebuild() -> None:
    world = small_world()
    asked = SCENARIOS["stream"](world, seed=1)
    system, never = (BY_NAME["lethe_settled"].make(small_setup(world)) for _ in range(2))
    system.fit(asked.train)
    never.fit(asked.train.without(asked.gone(until=30)))

    for gone in asked.requests[:30]:
        system.forget(gone)

    assert system.exposed(EVERYBODY).tobytes() == never.exposed(EVERYBODY).tobytes()
    assert system.personal_data_in_weights().startswith("no")


def test_memory_of_lethe_gives_away_what_waits_for_the_refresh() -> None:
    world = small_world()
    gone = SCENARIOS["users-random-5"](world, seed=1).gone()
    lens = Lens.of(world, train=world.train, gone=gone)
    found = {}
    for name, method in BY_NAME.items():
        system = method.make(small_setup(world))
        system.fit(world.train)
        system.forget(gone)
        found[name] = lens.look(system)

    assert found["lethe"].memory.min() > found["lethe"].memory_never.max()
    assert np.array_equal(found["lethe"].served, found["lethe_settled"].served)
    never = BY_NAME["lethe"].make(small_setup(world))
    never.fit(lens.left)
    assert np.array_equal(found["lethe_settled"].memory, lens.look(never).memory)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_residual_of_lethe_is_zero_in_its_cell(name: str, tmp_path: Path) -> None:
    world = small_world()
    method = BY_NAME[name]
    bench = Bench(world, method=method, reference=method, setup=small_setup(world), cache=tmp_path)
    limits = Limits(requests_s=0.1, observed=2, stream_s=0.01, checkpoints=2)

    cells = {
        scenario: bench.measure(SCENARIOS[scenario](world, seed=0), limits)
        for scenario in ("users-random-10", "one-user", "stream")
    }

    for facts in cells.values():
        distance = facts["distance"]["rbo@20"]
        assert distance["residual"] in {0.0, None}
        assert distance["unlearned"]["mean"] == 0.0
        assert facts["mia"]["served"]["auc_gap_to_retrained"] == 0.0
        assert facts["time"]["requests"] >= 1
    assert cells["users-random-10"]["distance"]["rbo@20"]["original"] > 0
    n = cells["stream"]["time"]["requests"]
    assert len(cells["stream"]["checkpoints"]) == max(1, min(2, n // 5))


def test_lethe_that_forgets_nothing_is_seen() -> None:
    class Keeps(lethe.Lethe):
        def forget(self, gone: object) -> None:
            """Keep everything."""

    world = small_world()
    method = Method("keeps", ("ease",), partial(Keeps, settles=True), reference="")
    honest = BY_NAME["lethe_settled"]
    asked = SCENARIOS["users-random-10"](world, seed=1)
    lens = Lens.of(world, train=asked.train, gone=asked.gone())
    kept, rebuilt = (one.make(small_setup(world)) for one in (method, honest))
    kept.fit(asked.train)
    rebuilt.fit(asked.train.without(asked.gone()))

    assert not np.array_equal(lens.look(kept).lists, lens.look(rebuilt).lists)
    assert lens.look(kept).memory.min() > lens.look(rebuilt).memory.max()
