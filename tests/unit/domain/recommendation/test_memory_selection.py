"""The strategies: what each promises, and that none spends more tokens than it has."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.domain.recommendation.clusters import nearest, spherical_k_means
from app.domain.recommendation.memory_selection import (
    Choice,
    Strategy,
    attention_weights,
    select_memories,
)

NO_CANDIDATES = np.empty((0, 0), dtype=np.float32)


def unit(rows: object) -> NDArray[np.float32]:
    matrix = np.asarray(rows, dtype=np.float32)
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True), dtype=np.float32)


def choice(
    n: int = 8,
    *,
    budget: int = 100,
    costs: list[int] | None = None,
    strength: list[float] | None = None,
    clusters: list[int] | None = None,
    vectors: NDArray[np.float32] | None = None,
) -> Choice:
    rng = np.random.default_rng(7)
    return Choice(
        vectors=unit(rng.normal(size=(n, 6))) if vectors is None else vectors,
        strength=np.asarray(strength or [1.0] * n, dtype=np.float32),
        clusters=np.asarray(clusters or [0] * n),
        costs=costs or [10] * n,
        budget=budget,
    )


@given(
    strategy=st.sampled_from(Strategy),
    costs=st.lists(st.integers(1, 60), min_size=1, max_size=12),
    budget=st.integers(0, 200),
    seed=st.integers(0, 99),
)
def test_no_strategy_spends_more_than_its_budget_or_leaves_what_fits(
    *, strategy: Strategy, costs: list[int], budget: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    count = len(costs)
    given_ = Choice(
        vectors=unit(rng.normal(size=(count, 5))),
        strength=rng.uniform(0.25, 4, size=count).astype(np.float32),
        clusters=rng.integers(0, 3, size=count),
        costs=costs,
        budget=budget,
    )
    chosen = select_memories(strategy, given_, candidates=unit(rng.normal(size=(4, 5))))

    left = budget - sum(costs[index] for index in chosen)
    assert left >= 0
    assert len(chosen) == len(set(chosen))
    if strategy is not Strategy.NONE:
        assert not [index for index in range(count) if costs[index] <= left and index not in chosen]


def test_recent_takes_the_newest() -> None:
    assert select_memories(Strategy.RECENT, choice(budget=35), candidates=NO_CANDIDATES) == [
        0,
        1,
        2,
    ]


def test_none_takes_nothing() -> None:
    assert select_memories(Strategy.NONE, choice(), candidates=NO_CANDIDATES) == []


def test_attention_takes_what_is_nearest_to_the_candidates() -> None:
    vectors = unit([[1, 0], [0, 1], [1, 0.1], [-1, 0]])
    given_ = choice(4, budget=20, vectors=vectors)

    chosen = select_memories(Strategy.ATTENTION, given_, candidates=unit([[1, 0.05]]))

    assert sorted(chosen) == [0, 2]


def test_attention_weighs_by_rating() -> None:
    keys = unit([[1, 0], [1, 0]])

    weights = attention_weights(
        queries=unit([[1, 0]]), keys=keys, strength=np.asarray([1, 3], dtype=np.float32)
    )

    assert weights == pytest.approx([0.25, 0.75])


def test_attention_without_candidates_falls_back_to_the_newest() -> None:
    chosen = select_memories(Strategy.ATTENTION, choice(budget=20), candidates=NO_CANDIDATES)

    assert chosen == [0, 1]


def test_preference_keeps_the_proportions_of_the_history_in_tokens() -> None:
    given_ = choice(
        8, budget=40, clusters=[0, 0, 0, 0, 0, 0, 1, 1], strength=[1, 2, 3, 4, 5, 6, 1, 2]
    )

    chosen = select_memories(Strategy.PREFERENCE, given_, candidates=NO_CANDIDATES)

    assert chosen == [5, 4, 3, 7], "three of the larger cluster, one of the smaller, the strongest"


def test_diversity_takes_one_of_each_kind_before_a_second_of_any() -> None:
    vectors = unit([[1, 0, 0], [1, 0.01, 0], [1, 0.02, 0], [0, 1, 0], [0, 0, 1]])
    given_ = choice(5, budget=30, vectors=vectors)

    chosen = select_memories(Strategy.DIVERSITY, given_, candidates=NO_CANDIDATES)

    assert {3, 4} < set(chosen)


def test_diversity_would_rather_have_two_short_memories_than_a_long_one() -> None:
    vectors = unit([[1, 1.1], [1, 0], [0, 1]])
    given_ = choice(3, budget=40, costs=[40, 20, 20], vectors=vectors)

    assert sorted(select_memories(Strategy.DIVERSITY, given_, candidates=NO_CANDIDATES)) == [1, 2]


def test_clusters_are_found_and_are_the_same_each_time() -> None:
    rng = np.random.default_rng(3)
    centres = unit(np.eye(4, 16))
    vectors = unit(np.repeat(centres, 25, axis=0) + 0.05 * rng.normal(size=(100, 16)))

    found = spherical_k_means(vectors, k=4)

    of = nearest(found, vectors)
    assert [len(set(of[start : start + 25])) for start in range(0, 100, 25)] == [1] * 4
    assert len(set(of)) == 4
    assert np.array_equal(found, spherical_k_means(vectors, k=4))


def test_equal_items_are_one_cluster() -> None:
    assert len(spherical_k_means(unit([[1, 0]] * 5), k=3)) == 1


def test_without_centres_everything_is_one_cluster() -> None:
    assert nearest(NO_CANDIDATES, unit([[1, 0], [0, 1]])).tolist() == [0, 0]
