"""The split and the metrics that every quality figure rests on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.data import forgotten_users, read_ml_1m, read_recbole, split
from benchmarks.quality.metrics import evaluate, interval


def histories(n_users: int = 30) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    rng = np.random.default_rng(3)
    return [np.sort(rng.permutation(200)[: rng.integers(1, 90)]) for _ in range(n_users)]


def test_split_is_disjoint_and_complete() -> None:
    rows = histories()

    parts = split(rows)

    for row, train, valid, test in zip(rows, parts.train, parts.valid, parts.test, strict=True):
        assert np.array_equal(np.sort(np.concatenate([train, valid, test])), row)
        assert len(valid) == len(test) == len(row) // 10


def test_split_of_a_user_does_not_depend_on_the_others() -> None:
    rows = histories()

    alone = split([rows[0], *([rows[1][:0]] * 29)])

    assert np.array_equal(alone.test[0], split(rows).test[0])


def test_forgotten_users_are_a_tenth() -> None:
    gone = forgotten_users(943, share=0.1)

    assert len(np.unique(gone)) == 94
    assert gone.max() < 943


def test_metrics_are_those_of_a_hand_count() -> None:
    scores = np.zeros((1, 40))
    scores[0, [5, 6, 7]] = [3.0, 2.0, 1.0]
    none = np.array([], dtype=np.int64)

    found = evaluate(
        lambda users: scores[users],
        users=np.array([0]),
        seen=[[np.array([5])]],
        wanted=[np.array([5, 7])],
    )
    nobody = evaluate(
        lambda users: scores[users], users=np.array([0]), seen=[[none]], wanted=[none]
    )

    # Item 5 is masked, so 6 is first and 7 second: DCG 1 / log2(3), ideal 1 + 1 / log2(3).
    assert found["ndcg@10"][0] == pytest.approx(0.6309298 / 1.6309298)
    assert found["recall@20"][0] == 0.5
    assert found["hr@10"][0] == 1
    assert np.isnan(nobody["ndcg@10"]).all()


def test_interval_holds_the_mean_and_ignores_users_without_a_test() -> None:
    values = np.concatenate([np.random.default_rng(0).random(500), [np.nan] * 50])

    mean, low, high = interval(values, seed=1)

    assert low < mean < high
    assert mean == pytest.approx(np.nanmean(values))
    assert high - low == pytest.approx(4 * 0.2887 / np.sqrt(500), rel=0.15)


def test_both_parts_of_ml_1m_are_merged(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("0 3 1\n1 2\n")
    (tmp_path / "test.txt").write_text("0 2\n")

    dataset = read_ml_1m(tmp_path)

    assert [row.tolist() for row in dataset.histories] == [[1, 2, 3], [2]]
    assert dataset.n_items == 4


def test_atomic_files_are_read_as_pairs_that_are_distinct(tmp_path: Path) -> None:
    path = tmp_path / "small.inter"
    head = "user_id:token\titem_id:token\ttimestamp:float\n"
    path.write_text(head + "u2\tb\t5\nu1\tc\t6\nu2\ta\t7\nu2\tb\t8\n")

    found = read_recbole(path)

    assert found.item_ids == ["a", "b", "c"]
    assert [row.tolist() for row in found.histories] == [[2], [0, 1]]
    path.write_text(head + "u1\tonly\n")
    with pytest.raises(ValueError, match=r"small\.inter"):
        read_recbole(path)
