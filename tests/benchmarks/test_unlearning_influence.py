"""The influence function against finite differences, torch, and exact answers."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.unlearning.influence import (
    Objective,
    Propagation,
    Solution,
    Table,
    Triples,
    fixed_triples,
    solve,
)
from benchmarks.unlearning.protocol import Interactions
from tests.benchmarks.toy import N_ITEMS, N_USERS, method, setup, world

SHAPE = (N_USERS, N_ITEMS)
DECAY = 0.05


def _objective(train: Interactions, *, layers: int, triples: Triples | None = None) -> Objective:
    return Objective(
        fixed_triples(train, each=2, seed=0) if triples is None else triples,
        shape=SHAPE,
        propagate=Propagation(train, layers=layers),
        weight=0.5,
        decay=DECAY,
    )


def _table(seed: int) -> Table:
    return np.random.default_rng(seed).normal(size=(sum(SHAPE), 6)) * 0.5


@pytest.mark.parametrize("layers", [0, 2])
def test_hessian_products_equal_differences_of_gradients(layers: int) -> None:
    objective = _objective(world()[0], layers=layers)
    table, direction = _table(1), _table(2)
    found = objective.curvature(table)(direction)
    step = 1e-5
    ahead = objective.gradient(table + step * direction)
    behind = objective.gradient(table - step * direction)
    assert np.allclose(found, (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-7)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("backbone", ["bpr", "lightgcn"])
def test_the_gradient_is_that_of_the_loss_that_trains(backbone: str) -> None:
    train, _ = world()
    system = method("ifru").Ifru(setup(backbone))
    system.fit(train)
    triples = fixed_triples(train, each=1, seed=0)
    model = system.backbone.model
    model.table.grad = None
    (model.loss(triples.users, triples.liked, triples.other) * len(train)).backward()
    found = system.objective(triples, graph=train, each=1).gradient(system.table())
    assert np.allclose(found, model.table.grad.numpy(), rtol=1e-3, atol=1e-4)


def _minimum(objective: Objective, table: Table, *, moves: Table) -> Table:
    """Return the exact minimum over the rows that move, where the rest is fixed: convex."""
    for _ in range(30):
        slope = moves * objective.gradient(table)
        if np.linalg.norm(slope) < 1e-10:
            return table
        table = table - _newton(objective, table, target=slope, moves=moves).step
    raise AssertionError("the toy did not converge")


def _newton(objective: Objective, table: Table, *, target: Table, moves: Table) -> Solution:
    product = objective.curvature(table)
    return solve(lambda step: moves * product(moves * step), target, damping=0.0, tolerance=1e-12)


def test_the_influence_step_approaches_the_exact_answer_on_a_convex_toy() -> None:
    """With fixed items the loss is strongly convex in the users' rows.

    The step's error is of second order: against how far the exact answer moves, it shrinks
    with what is deleted.
    """
    rng = np.random.default_rng(0)
    rows = [np.sort(rng.permutation(200)[:80]) for _ in range(4)]
    train = Interactions.of(rows, n_items=200)
    triples = fixed_triples(train, each=2, seed=0)
    moves = np.concatenate([np.ones(4), np.zeros(200)])[:, None]
    table = rng.normal(size=(204, 6)) * 0.5

    def objective(of: Triples) -> Objective:
        still = Propagation(train, layers=0)
        return Objective(of, shape=(4, 200), propagate=still, weight=0.5, decay=DECAY)

    whole = objective(triples)
    fitted = _minimum(whole, table, moves=moves)
    errors = []
    for count in (16, 8, 4, 2, 1):
        deleted = np.arange(len(triples.users)) < 2 * count
        exact = _minimum(objective(triples.where(~deleted)), fitted, moves=moves)
        target = moves * objective(triples.where(deleted)).gradient(fitted)
        solution = _newton(whole, fitted, target=target, moves=moves)
        assert solution.residual < 1e-9
        moved = float(np.linalg.norm(exact - fitted))
        errors.append(float(np.linalg.norm(fitted + solution.step - exact)) / moved)
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.05


def test_damping_grows_until_the_hessian_is_positive() -> None:
    hessian = np.diag([2.0, 1.0, -0.5])
    target = np.array([1.0, 1.0, 1.0])
    solution = solve(lambda step: hessian @ step, target, damping=0.1, tolerance=1e-8)
    assert solution.damping == pytest.approx(1.0)
    assert solution.residual < 1e-8
    assert solution.step == pytest.approx(target / (np.diag(hessian) + 1.0))


def test_the_residual_is_told_when_the_iterations_do_not_suffice() -> None:
    hessian = np.diag(np.logspace(0, 6, 50))
    solution = solve(lambda step: hessian @ step, np.ones(50), damping=0.0, iterations=3)
    assert solution.residual > 0.1


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("backbone", ["bpr", "lightgcn"])
def test_ifru_moves_touched_rows_alone_and_solves_its_system(backbone: str) -> None:
    train, _ = world()
    gone = train.of_users(np.array([4]))
    system = method("ifru").Ifru(setup(backbone, damping=1.0, hops=0))
    system.fit(train)
    before = system.table()
    system.forget(gone)
    moved = np.flatnonzero((system.table() != before).any(axis=1))
    assert moved.tolist() == [4, *(N_USERS + gone.items)]
    assert system.solution.residual < 1e-2


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("backbone", ["bpr", "lightgcn"])
def test_scif_moves_the_users_own_row_alone_and_solves_its_system(backbone: str) -> None:
    train, _ = world()
    gone = train.where((train.users == 4) & (train.items < 30))
    system = method("scif").Scif(setup(backbone, damping=0.1))
    system.fit(train)
    before = system.table()
    system.forget(gone)
    assert np.flatnonzero((system.table() != before).any(axis=1)).tolist() == [4]
    assert system.solution.residual < 1e-2


def test_negatives_are_not_liked_and_others_keep_theirs() -> None:
    train, _ = world()
    whole = fixed_triples(train, each=3, seed=1)
    assert not np.isin(whole.users * N_ITEMS + whole.other, train.keys).any()
    left = train.without(train.of_users(np.array([2])))
    rest = fixed_triples(left, each=3, seed=1)
    assert np.array_equal(whole.where(whole.users != 2).other, rest.other)


def test_redrawn_triples_are_those_of_a_fresh_draw() -> None:
    train, _ = world()
    gone = train.where(np.isin(train.users, [2, 9]) & (train.items < 25))
    left = train.without(gone)
    whole = fixed_triples(train, each=2, seed=1)
    found = whole.redrawn(np.array([2, 9]), left=left, each=2, seed=1)
    fresh = fixed_triples(left, each=2, seed=1)
    for name in ("users", "liked", "other"):
        assert np.array_equal(getattr(found, name), getattr(fresh, name))


@pytest.mark.torch
def test_fisher_information_is_the_sum_of_squared_gradients() -> None:
    train, _ = world()
    table = _table(4)
    triples = fixed_triples(train, each=1, seed=0)
    some = triples.where(np.arange(len(triples.users)) < 5)
    expected = np.zeros_like(table)
    for place in range(5):
        one = some.where(np.arange(5) == place)
        still = Propagation(train, layers=0)
        loss = Objective(one, shape=SHAPE, propagate=still, weight=1.0, decay=0.0)
        expected += loss.gradient(table) ** 2
    found = method("rrl").fisher_information(some, table, n_users=N_USERS)
    assert np.allclose(found, expected)
