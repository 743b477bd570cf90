"""AltEraser and RRL edit a plain model; UltraRE has shards and nothing to train over them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.unlearning.influence import fixed_triples
from tests.benchmarks.toy import EVERYBODY, N_USERS, method, setup, world

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:Sparse")]


def test_alteraser_lowers_the_loss_of_what_is_left() -> None:
    train, _ = world()
    gone = train.of_users(np.array([1, 2, 3]))
    system = method("alteraser").AltEraser(setup("bpr", damping=1.0, rounds=2))
    system.fit(train)
    left = train.without(gone)
    triples = fixed_triples(left, each=2, seed=3)
    objective = system.objective(triples, graph=left, each=2)
    before = np.linalg.norm(objective.gradient(system.table()))
    system.forget(gone)
    assert np.linalg.norm(objective.gradient(system.table())) < 0.5 * before
    assert len(system.solutions) == 4
    assert max(solution.residual for solution in system.solutions) < 0.06


def test_rrl_sinks_the_deleted_items_of_the_user() -> None:
    train, _ = world()
    gone = train.where((train.users == 4) & (np.arange(len(train)) % 2 == 0))
    system = method("rrl").Rrl(setup("bpr", rate=0.03, hold=0.01))
    system.fit(train)
    before = system.exposed(EVERYBODY)
    system.forget(gone)
    after = system.exposed(EVERYBODY)
    assert after[4, gone.items].mean() < before[4, gone.items].mean()
    below = (after[4, gone.items][:, None] < after[4]).mean()
    assert below > (before[4, gone.items][:, None] < before[4]).mean()


def test_rrl_moves_less_where_others_depend_on_it() -> None:
    train, _ = world()
    gone = train.where(train.users == 4)
    moved = []
    for hold in (0.0, 10.0):
        system = method("rrl").Rrl(setup("bpr", rate=0.03, hold=hold))
        system.fit(train)
        before = system.table()[N_USERS:]
        system.forget(gone)
        moved.append(np.abs(system.table()[N_USERS:] - before).sum())
    assert moved[1] < 0.5 * moved[0]


def test_ultrare_trains_the_users_part_alone() -> None:
    train, _ = world()
    system = method("ultrare").UltraRe(setup("bpr", shards=4, own=0.5))
    system.fit(train)
    before = [shard.model.model.table.detach().clone() for shard in system.shards.shards]
    system.forget(train.of_users(np.array([7])))
    assert system.shards.touched == (int(system.shard_of_user[7]),)
    for number, shard in enumerate(system.shards.shards):
        same = bool((shard.model.model.table == before[number]).all())
        assert same is (number not in system.shards.touched)
    sizes = np.bincount(system.shard_of_user)
    assert sizes.max() - sizes.min() <= 1
