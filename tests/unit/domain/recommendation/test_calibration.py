"""What a model's order is worth is told without flattering it."""

import numpy as np
import pytest

from app.domain.models import ItemId
from app.domain.recommendation.calibration import WEIGHTS, finding, interval, ndcg
from app.domain.recommendation.finding import Situation

A, B, C = (ItemId(name) for name in "abc")


def judged(gains: np.ndarray) -> np.ndarray:
    """Return judged lists that are .4 without the model and so much better at each weight."""
    return np.column_stack([np.full(len(gains), 0.4), 0.4 + gains])


def test_ndcg_is_one_when_all_wanted_items_lead() -> None:
    assert ndcg([A, B, C], frozenset((A, B))) == pytest.approx(1.0)
    assert ndcg([C, A, B], frozenset((A, B))) == pytest.approx((0.63093 + 0.5) / 1.63093, abs=1e-4)
    assert ndcg([C], frozenset((A,))) == 0.0


def test_a_model_that_helps_everybody_pays_at_its_best_weight() -> None:
    gains = np.full((40, len(WEIGHTS)), 0.1)
    gains[:, 2] = 0.2
    noise = np.random.default_rng(3).normal(0, 0.05, gains.shape)

    found = finding(Situation.HISTORY, "label", judged(gains + noise), seed=1)

    assert found.pays
    assert found.weight == WEIGHTS[2]
    assert found.gain[1] < found.gain[0] < found.gain[2]
    assert found.gain[0] == pytest.approx(0.2, abs=0.03)


def test_the_best_of_many_weights_that_do_nothing_seldom_pays() -> None:
    rng = np.random.default_rng(5)
    gains = [rng.normal(0, 0.2, (40, len(WEIGHTS))) for _ in range(300)]

    pays = [finding(Situation.HISTORY, "label", judged(one), seed=1).pays for one in gains]
    chosen_by_itself = [interval(one[:, one.mean(axis=0).argmax()], seed=1)[1] > 0 for one in gains]

    assert np.mean(pays) < 0.1
    assert np.mean(chosen_by_itself) > 0.15  # what a choice among weights by the same lists claims


def test_of_a_single_list_nothing_is_claimed() -> None:
    found = finding(Situation.QUERY, None, judged(np.full((1, len(WEIGHTS)), 0.5)), seed=1)

    assert (found.cases, found.pays, found.weight) == (1, False, 0.0)
