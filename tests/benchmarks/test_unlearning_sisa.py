from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.benchmarks.toy import EVERYBODY, Loaded, method, setup, world

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:Sparse")]

SETTING: dict[str, Any] = {"shards": 4, "slices": 2, "unobserved": 0.1, "decay": 1.0}


@pytest.fixture(params=["Sisa", "SisaPairs"])
def sisa(request: pytest.FixtureRequest) -> Loaded:
    return lambda backbone="bpr": getattr(method("sisa"), request.param)(setup(backbone, **SETTING))


def _tables(system: Loaded) -> list[bytes]:
    return [shard.model.model.table.detach().numpy().tobytes() for shard in system.shards.shards]


@pytest.mark.parametrize("backbone", ["bpr", "lightgcn"])
def test_forgetting_equals_a_fit_without_it_bit_for_bit(sisa: Loaded, backbone: str) -> None:
    train, _ = world()
    gone = train.of_users(np.array([5, 11]))
    forgot, never = sisa(backbone), sisa(backbone)
    forgot.fit(train)
    before = forgot.scores(EVERYBODY)
    forgot.forget(gone)
    never.fit(train.without(gone))
    assert _tables(forgot) == _tables(never)
    assert forgot.scores(EVERYBODY).tobytes() == never.scores(EVERYBODY).tobytes()
    assert not np.array_equal(before, forgot.scores(EVERYBODY))


def test_only_the_shards_that_hold_it_are_trained(sisa: Loaded) -> None:
    train, _ = world()
    gone = train.where(np.arange(len(train)) == 17)
    system = sisa()
    system.fit(train)
    holders = [n for n, s in enumerate(system.shards.shards) if np.isin(gone.keys, s.pairs.keys)]
    before = _tables(system)
    system.forget(gone)
    after = _tables(system)
    assert list(system.shards.touched) == holders
    assert len(holders) == 1
    assert [n for n in range(4) if before[n] != after[n]] == holders


def test_checkpoints_before_the_slice_are_kept_and_later_ones_are_not(sisa: Loaded) -> None:
    train, _ = world()
    system = sisa()
    system.fit(train)
    shard = system.shards.shards[0]
    late = shard.pairs.where(shard.slices == 1)
    early = shard.pairs.where(shard.slices == 0)
    kept = shard.checkpoints[0]
    system.forget(late.where(np.arange(len(late)) == 0))
    assert shard.checkpoints[0] is kept
    system.forget(early.where(np.arange(len(early)) == 0))
    assert shard.checkpoints[0] is not kept


def test_a_user_without_pairs_gets_the_popular_order(sisa: Loaded) -> None:
    train, _ = world()
    system = sisa()
    system.fit(train)
    gone = train.of_users(np.array([9]))
    system.forget(gone)
    assert np.array_equal(system.scores(np.array([9]))[0], train.without(gone).degrees)


def test_a_shard_can_lose_its_last_pair(sisa: Loaded) -> None:
    train, _ = world()
    system = sisa()
    system.fit(train)
    system.forget(system.shards.shards[2].pairs)
    assert system.shards.shards[2].model is None
    assert np.isfinite(system.scores(EVERYBODY)).all()
