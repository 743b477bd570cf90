"""GraphEraser and RecEraser: isolated shards under a partition that stays."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from tests.benchmarks.toy import EVERYBODY, N_USERS, Loaded, method, setup, world

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:Sparse")]

SYSTEMS = [
    ("grapheraser", "GraphEraser", "lightgcn", {"partition": "lpa", "rate": 0.01}),
    ("grapheraser", "GraphEraser", "lightgcn", {"partition": "km", "rate": 0.01}),
    ("receraser", "RecEraser", "bpr", {"partition": "user", "rate": 0.01, "decay": 1e-5}),
    ("receraser", "RecEraser", "lightgcn", {"partition": "item", "rate": 0.01, "decay": 1e-5}),
    ("receraser", "RecEraser", "bpr", {"partition": "pair", "rate": 0.01, "decay": 1e-5}),
]


@pytest.fixture(params=SYSTEMS, ids=lambda row: f"{row[0]}_{row[3]['partition']}")
def fitted(request: pytest.FixtureRequest) -> Loaded:
    module, name, backbone, setting = request.param
    system = getattr(method(module), name)(setup(backbone, shards=4, **setting))
    system.fit(world()[0])
    return system


def _tables(system: Loaded) -> list[bytes]:
    return [shard.model.model.table.detach().numpy().tobytes() for shard in system.shards.shards]


def test_untouched_shards_keep_their_bits_and_touched_ones_equal_a_fit_without(
    fitted: Loaded,
) -> None:
    train, _ = world()
    gone = train.where(train.users == 6).where(np.arange(int(train.lengths[6])) < 2)
    shard_of = np.zeros(len(train), dtype=np.int64)
    for number, shard in enumerate(fitted.shards.shards):
        shard_of[np.isin(train.keys, shard.pairs.keys)] = number
    before = _tables(fitted)
    fitted.forget(gone)
    holders = np.unique(shard_of[np.isin(train.keys, gone.keys)]).tolist()
    assert list(fitted.shards.touched) == holders
    assert 0 < len(holders) < 4
    never = type(fitted.shards)(fitted._setup, count=4)  # noqa: SLF001 - the same set-up
    kept = ~np.isin(train.keys, gone.keys)
    never.fit(train.where(kept), shard_of=shard_of[kept])
    after = _tables(fitted)
    expected = [shard.model.model.table.detach().numpy().tobytes() for shard in never.shards]
    assert after == expected
    assert [number for number in range(4) if before[number] != after[number]] == holders


def test_the_same_seed_gives_the_same_scores_and_taste_shows(fitted: Loaded) -> None:
    train, _ = world()
    scores = fitted.scores(EVERYBODY)
    again = type(fitted)(fitted._setup)  # noqa: SLF001 - the same set-up
    again.fit(train)
    assert scores.tobytes() == again.scores(EVERYBODY).tobytes()
    even = scores[::2, :20].mean() - scores[::2, 20:].mean()
    odd = scores[1::2, :20].mean() - scores[1::2, 20:].mean()
    assert even > odd


def test_who_has_nothing_left_gets_the_popular_order(fitted: Loaded) -> None:
    train, _ = world()
    gone = train.of_users(np.array([3]))
    fitted.forget(gone)
    assert np.array_equal(fitted.scores(np.array([3]))[0], train.without(gone).degrees)
    assert fitted.scores(EVERYBODY).shape[0] == N_USERS


def test_weights_of_shards_are_shares() -> None:
    system = method("grapheraser").GraphEraser(
        setup("lightgcn", shards=4, partition="lpa", rate=0.1)
    )
    system.fit(world()[0])
    assert (system.weights >= 0).all()
    assert system.weights.sum() == pytest.approx(1.0, abs=1e-5)


def test_a_row_that_a_shard_has_not_seen_gets_no_attention() -> None:
    torch = import_module("torch")
    attention = import_module("benchmarks.unlearning.attention")
    tables = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    holds = np.array([[1, 0, 1], [1, 1, 0]], dtype=np.float32)
    plan = attention.Plan(rate=0.01, decay=0.0, seed=0)

    def vectors() -> np.ndarray:
        generator = torch.Generator().manual_seed(0)
        side = attention.Side(tables, holds=holds, plan=plan, generator=generator)
        found: np.ndarray = side().detach().numpy()
        return found

    before = vectors()
    tables[0, 1] += 5
    tables[1, 2] += 5
    assert np.array_equal(before, vectors())
    tables[0, 0] += 5
    assert not np.array_equal(before[0], vectors()[0])
