from __future__ import annotations

import numpy as np
import pytest

from benchmarks.unlearning.attacks import attack, auc, probes, tpr
from benchmarks.unlearning.lists import jaccard, overlap, residual, top_lists
from benchmarks.unlearning.protocol import Interactions

NONE = np.empty(0, dtype=np.int64)


def test_overlap_of_equal_lists_is_one_and_of_disjoint_ones_zero() -> None:
    lists = np.arange(40).reshape(2, 20)

    assert overlap(lists, lists) == pytest.approx([1.0, 1.0])
    assert overlap(lists, lists[::-1]) == pytest.approx([0.0, 0.0])


def test_overlap_is_that_of_a_hand_count() -> None:
    ours, theirs = np.array([[1, 2, 3]]), np.array([[2, 1, 9]])

    # Common at depth 1, 2, 3: 0, 2, 2. Weights 1, .9, .81.
    expected = (0 + 0.9 * 2 / 2 + 0.81 * 2 / 3) / (1 + 0.9 + 0.81)
    assert overlap(ours, theirs) == pytest.approx([expected])


def test_jaccard_looks_at_the_first_ten_only() -> None:
    ours = np.arange(20)[None]
    theirs = np.concatenate([np.arange(5), np.arange(100, 105), np.arange(5, 15)])[None]

    assert jaccard(ours, theirs) == pytest.approx([5 / 15])


def test_lists_hide_what_was_seen_and_break_ties_by_number() -> None:
    scores = np.zeros((1, 30), dtype=np.float32)
    scores[0, 7] = 1

    lists = top_lists(lambda users: scores[users], users=np.array([0]), seen=[[np.array([0, 2])]])

    assert lists[0, :4].tolist() == [7, 1, 3, 4]


@pytest.mark.parametrize(
    ("unlearned", "expected"), [(0.2, 0.0), (0.6, 1.0), (0.4, 0.5), (0.1, -0.25)]
)
def test_residual_is_measured_from_the_floor(unlearned: float, expected: float) -> None:
    assert residual(unlearned=unlearned, original=0.6, floor=0.2) == pytest.approx(expected)


def test_residual_says_nothing_when_forgetting_is_lost_in_the_noise() -> None:
    assert residual(unlearned=0.3, original=0.24, floor=0.2) is None
    assert residual(unlearned=0.0, original=0.0, floor=0.0) is None


def test_auc_counts_ties_half() -> None:
    assert auc(np.array([1.0, 2.0]), np.array([0.0, 0.5])) == 1.0
    assert auc(np.array([1.0, 1.0]), np.array([1.0, 1.0])) == 0.5
    assert auc(np.array([1.0, 3.0]), np.array([1.0, 2.0])) == pytest.approx((0.5 + 0 + 1 + 1) / 4)


def test_true_positives_are_those_above_all_but_one_percent() -> None:
    others = np.arange(200.0)

    # One percent of 200 are two that may be above: the threshold is the third, 197.
    assert tpr(np.array([198.0, 197.0, 1.0, 500.0]), others) == 0.5
    assert attack(others, others)["low"] < 0.5 < attack(others, others)["high"]


def test_probes_are_as_popular_as_what_was_forgotten_and_never_were() -> None:
    histories = [np.array([0, 1]), np.array([0, 2]), np.array([0, 2, 3]), np.array([4, 5])]
    ever = Interactions.of(histories, n_items=8)
    gone = ever.of_users(np.array([3]))

    asked = probes(gone, ever=ever, left=ever.without(gone), limit=10, seed=1)

    assert asked.users.tolist() == [3, 3]
    assert asked.members.tolist() == [4, 5]
    assert len(set(asked.others.tolist())) == 2
    # Items 4 and 5 have nobody left; 6 and 7 never had: the only partners as unpopular.
    assert set(asked.others.tolist()) == {6, 7}


def test_interactions_refuse_to_forget_what_never_was() -> None:
    pairs = Interactions.of([np.array([1, 2]), NONE], n_items=4)
    other = Interactions.of([np.array([3]), NONE], n_items=4)

    with pytest.raises(ValueError, match="never there"):
        pairs.without(other)


def test_interactions_with_more_users_keep_everybodys_number() -> None:
    pairs = Interactions.of([np.array([1, 2]), NONE], n_items=4)
    more = Interactions.of([NONE, NONE, np.array([0, 3])], n_items=4)

    both = pairs.together(more)

    assert [row.tolist() for row in both.histories] == [[1, 2], [], [0, 3]]
    assert both.degrees.tolist() == [1, 1, 1, 1]
