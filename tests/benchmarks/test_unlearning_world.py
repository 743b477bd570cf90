from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.unlearning.compare import Groups
from benchmarks.unlearning.methods.retrain import Retrain
from benchmarks.unlearning.observe import Lens
from benchmarks.unlearning.scenarios import SCENARIOS
from benchmarks.unlearning.world import LeakError, World
from tests.benchmarks.small_world import N_USERS, small_setup, small_world


def test_parts_of_every_user_are_a_partition() -> None:
    world = small_world()

    world.check()
    leaking = replace(world, valid=world.test)
    with pytest.raises(LeakError):
        leaking.check()


def test_pair_to_be_predicted_is_seen_in_a_training_part() -> None:
    world = small_world()

    world.check_shown(world.train)
    with pytest.raises(LeakError):
        world.check_shown(world.train.together(world.test))


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_what_is_forgotten_is_part_of_training_and_of_nothing_else(name: str) -> None:
    world = small_world()

    scenario = SCENARIOS[name](world, seed=3)

    held_out = np.concatenate([world.valid.keys, world.test.keys])
    for gone in scenario.requests:
        assert len(gone)
        assert np.isin(gone.keys, scenario.train.keys).all()
        assert not np.isin(gone.keys, held_out).any()
    together = scenario.gone()
    assert len(together) == sum(len(gone) for gone in scenario.requests)
    again = SCENARIOS[name](world, seed=3)
    assert np.array_equal(again.gone().keys, together.keys)


def test_scenarios_choose_whom_they_say() -> None:
    world = small_world()
    asked = {
        who: np.unique(SCENARIOS[f"users-{who}-10"](world, seed=0).gone().users)
        for who in ("random", "most", "least")
    }

    assert {len(users) for users in asked.values()} == {N_USERS // 10}
    lengths = {who: world.train.lengths[users] for who, users in asked.items()}
    assert lengths["least"].max() <= lengths["random"].mean() <= lengths["most"].min()
    topic = SCENARIOS["topic"](world, seed=0)
    assert set(topic.gone().items.tolist()) <= set(topic.topic.tolist())
    left = topic.train.without(topic.gone())
    assert left.lengths.min() > 0


def test_poison_brings_users_of_its_own_and_takes_only_them() -> None:
    world = small_world()

    scenario = SCENARIOS["poison"](world, seed=0)

    assert scenario.gone().users.min() >= N_USERS
    left = scenario.train.without(scenario.gone())
    assert np.array_equal(left.users, world.train.users)
    assert np.array_equal(left.items, world.train.items)


def test_lens_sees_a_list_that_shows_what_the_user_has() -> None:
    world = small_world()
    gone = SCENARIOS["users-random-5"](world, seed=0).gone()
    lens = Lens.of(world, train=world.train, gone=gone)
    system = Retrain(small_setup(world))
    system.fit(world.train)
    system.forget(gone)

    seen = lens.look(system)

    listed = (np.arange(N_USERS)[:, None] * world.train.n_items + seen.lists).ravel()
    assert not np.isin(listed, lens.left.keys).any()
    assert np.isnan(seen.ndcg).sum() == (world.test.lengths == 0).sum()
    groups = Groups.of(lens)
    assert len(groups.neighbours) == 50
    assert not set(groups.neighbours.tolist()) & set(groups.asked.tolist())


def test_world_reads_no_part_twice() -> None:
    world: World = small_world()

    sizes = [len(part) for part in (world.train, world.valid, world.test)]
    assert sum(sizes) == sum(map(len, world.dataset.histories))
