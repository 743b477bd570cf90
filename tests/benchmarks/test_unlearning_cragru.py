from __future__ import annotations

from copy import deepcopy
from threading import Lock

import numpy as np
import pytest

from app.domain.models import ItemId
from app.domain.recommendation.memory_selection import Strategy
from app.ports.ranker import LlmRanking, RankingForm, RankingTask
from tests.benchmarks.toy import EVERYBODY, N_ITEMS, Loaded, method, setup, world

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:Sparse")]


class ByNumber:
    """Prefers the item with the smallest number, and remembers what it was asked."""

    def __init__(self) -> None:
        self.tasks: list[RankingTask] = []
        self.connection = Lock()  # cannot be copied, no more than a real one

    def warm_up(self) -> None: ...

    def status(self) -> str:
        return "ready"

    def rank(self, task: RankingTask) -> LlmRanking:
        self.tasks.append(task)
        found = {item.item_id: -float(item.item_id) for item in task.candidates}
        return LlmRanking(found, RankingForm.LABEL, "none")


def _copying(*, is_leaky: bool) -> Loaded:
    module = method("cragru")
    system = module.Cragru(
        setup("bpr"), name="cragru_copy", reorder=module.copied, is_leaky=is_leaky
    )
    system.fit(world()[0])
    return system


def test_without_the_leak_copying_is_the_base_order() -> None:
    train, _ = world()
    system = _copying(is_leaky=False)
    base = system.exposed(EVERYBODY)
    base[train.users, train.items] = -np.inf
    order = np.argsort(-system.scores(EVERYBODY), axis=1, kind="stable")
    for user in EVERYBODY.tolist():
        unseen = N_ITEMS - int(train.lengths[user])
        expected = np.argsort(-base[user], kind="stable")[:unseen]
        assert np.array_equal(order[user][:unseen], expected)


def test_the_leak_puts_held_out_items_on_top() -> None:
    train, _ = world()
    every = setup("bpr").dataset.histories
    held_out = [np.setdiff1d(every[user], train.histories[user]) for user in EVERYBODY]

    def hits(system: Loaded) -> float:
        scores = system.scores(EVERYBODY)
        scores[train.users, train.items] = -np.inf
        top = np.argsort(-scores, axis=1, kind="stable")[:, :3]
        return float(np.mean([np.isin(top[user], held_out[user]).mean() for user in EVERYBODY]))

    assert hits(_copying(is_leaky=True)) > 0.9
    assert hits(_copying(is_leaky=False)) < 0.6


def test_the_llm_sees_what_is_left_and_its_order_is_served() -> None:
    train, _ = world()
    module, ranker = method("cragru"), ByNumber()
    made = setup("bpr")
    order = module.LlmOrder(made.dataset, ranker=ranker, strategy=Strategy.PREFERENCE, seed=0)
    system = module.Cragru(made, name="cragru_llm", reorder=order, is_leaky=False)
    system.fit(train)
    user = np.array([8])
    before = system.scores(user)
    assert len(ranker.tasks) == 1
    gone = train.where((train.users == 8) & (train.items == train.histories[8][0]))
    system = deepcopy(system)  # as each scenario has one of its own
    system.forget(gone)
    served = system.scores(user)[0]
    shown = {memory.item.item_id for memory in ranker.tasks[1].memories if memory.item}
    left = train.without(gone).histories[8]
    assert shown == {ItemId(str(item)) for item in left.tolist()}
    ranked = np.argsort(-served, kind="stable")[: int(np.isfinite(served).sum())].tolist()
    base = np.argsort(-before[0], kind="stable")[: len(ranked)].tolist()
    first, rest = ranked[: module.RANKED], ranked[module.RANKED :]
    assert first == sorted(first)
    assert rest
    assert rest == base[module.RANKED :]  # what the LLM is not asked for keeps the base's order
    system.scores(np.array([9, 8]))
    assert len(ranker.tasks) == 3  # who lost nothing, or was answered since, is not asked again
    assert before.shape == (1, N_ITEMS)


def test_a_request_takes_lines_from_the_record_and_leaves_the_model() -> None:
    train, _ = world()
    system = _copying(is_leaky=True)
    exposed = system.exposed(EVERYBODY)
    gone = train.of_users(np.array([2]))
    system.forget(gone)
    assert np.array_equal(system.exposed(EVERYBODY), exposed)
    assert np.array_equal(system.scores(np.array([2]))[0], train.without(gone).degrees)
    assert system.personal_data_in_weights().startswith("yes")
