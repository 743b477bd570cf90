from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.unlearning.claims import below_popularity, claims
from benchmarks.unlearning.figures import Cells
from benchmarks.unlearning.published import faster
from benchmarks.unlearning.report import PAGE, blocks, fill
from benchmarks.unlearning.tables import memories, residuals
from benchmarks.unlearning.tuning import CELLS


def cell(method: str, backbone: str, scenario: str = "users-random-10", **more: Any) -> Any:  # noqa: ANN401 - any figure
    """A cell with what the claims read."""
    figures = {"ndcg": 0.3, "cpu_s": 1.0, "residual": 0.0, "far": 0.0, "gap": 0.0, **more}
    return {
        "data": "ml-100k",
        "method": method,
        "backbone": backbone,
        "scenario": scenario,
        "time": {clock: {"p50": figures["cpu_s"]} for clock in ("cpu_s", "wall_s")},
        "utility": {"retained": {"ndcg@10": {"unlearned": {"mean": figures["ndcg"]}}}},
        "distance": {
            "rbo@20": {"residual": figures["residual"], "unlearned": {"mean": figures["far"]}}
        },
        "mia": {name: {"auc_gap_to_retrained": figures["gap"]} for name in ("served", "memory")},
    }


def both(method: str, backbone: str, **more: Any) -> list[Any]:  # noqa: ANN401 - any figure
    return [
        cell(method, backbone, scenario, **more) for scenario in ("users-random-10", "one-user")
    ]


def test_system_below_popularity_is_named() -> None:
    figures = {"popularity": 0.15, "bpr": 0.149, "lightgcn": 0.151}
    cells = Cells(
        [
            cell("retrain", backbone, scenario, ndcg=ndcg)
            for backbone, ndcg in figures.items()
            for scenario in ("users-random-10", "topic")
        ]
    )

    worse = below_popularity(cells, "ml-100k")

    assert worse == ["Retrain, BPR-MF (topic)", "Retrain, BPR-MF (users-random-10)"]


def test_claims_hold_or_are_missed_by_the_figures() -> None:
    rival = both("sisa", "bpr", cpu_s=0.5)
    good = claims(Cells([*both("lethe", "ease", cpu_s=0.001), *rival]), "ml-100k")
    bad = claims(
        Cells([*both("lethe", "ease", cpu_s=0.1, far=0.01, gap=0.5, ndcg=0.2), *rival]), "ml-100k"
    )

    assert good.count("- Holds") == 7
    assert "500.0 times as fast" in good
    assert bad.count("- **Missed**") == 7


def test_method_that_has_not_forgotten_is_no_rival() -> None:
    cells = Cells([*both("lethe", "ease"), *both("ifru", "bpr", residual=0.9, cpu_s=0.001)])

    assert "nothing to compare" in claims(cells, "ml-100k")


def test_speed_is_also_held_against_the_next_system_that_learns() -> None:
    rivals = [*both("retrain", "item_knn", cpu_s=0.05), *both("sisa", "bpr", cpu_s=0.5)]
    found = claims(Cells([*both("lethe", "ease", cpu_s=0.001), *rivals]), "ml-100k")

    assert "50.0 times as fast for one user in processor time as the next system" in found
    assert "500.0 times as fast for one user in processor time as the next learned" in found


def test_published_speed_ups_stand_beside_ours() -> None:
    cells = Cells([*both("retrain", "bpr", cpu_s=6.0), *both("sisa", "bpr", cpu_s=1.5)])

    assert "ml-100k: sisa, BPR-MF | 4.0 | 4.0 |" in faster(cells, ["ml-100k"])


def test_residual_in_the_noise_is_not_a_number() -> None:
    cells = Cells([cell("scif", "bpr", residual=None), cell("sisa", "bpr", residual=-0.04)])

    table = residuals(cells, "ml-100k")

    assert "| scif, BPR-MF | noise |" in table
    assert "| sisa, BPR-MF | -0.040 |" in table


def test_floor_that_does_not_hold_for_retraining_holds_for_nobody() -> None:
    measured = [cell("retrain", "bpr", residual=1.5), cell("ifru", "bpr", residual=1.1)]
    cells = Cells([{**one, "reference": "retrain"} for one in measured])

    assert "| ifru, BPR-MF | noise |" in residuals(cells, "ml-100k")


def test_what_memory_still_gives_away_stands_between_retrained_and_not_forgotten() -> None:
    aucs = {"original": 0.9, "unlearned": 0.6, "retrained": 0.5}
    memory = {system: {"auc": auc} for system, auc in aucs.items()}
    measured: list[Any] = [
        {**cell("scif", "bpr"), "mia": {"memory": memory}},
        {**cell("ifru", "bpr", "topic"), "mia": {"memory": {**memory, "original": {"auc": 0.54}}}},
    ]

    table = memories(Cells(measured), "ml-100k")

    assert "| scif, BPR-MF | · | 0.250 |" in table
    assert "| ifru, BPR-MF | noise | · |" in table


def test_page_keeps_its_prose_and_gets_its_figures() -> None:
    page = "Before\n<!-- sanity -->\nold\n<!-- /sanity -->\nafter"

    once = fill(page, {"sanity": "new"})

    assert once == "Before\n<!-- sanity -->\n\nnew\n\n<!-- /sanity -->\nafter"
    assert fill(once, {"sanity": "new"}) == once
    with pytest.raises(KeyError):
        fill("<!-- other --> <!-- /other -->", {})


def test_tables_of_the_page_are_those_of_the_cells() -> None:
    page = PAGE.read_text("utf-8")

    assert fill(page, blocks(Cells.read(CELLS), CELLS)) == page, "run benchmarks.unlearning.report"


def test_cells_say_where_they_come_from() -> None:
    for path in Path(CELLS).glob("*.json"):
        found = json.loads(path.read_text("utf-8"))
        assert {"seed", "commit", "machine", "date"} <= set(found), path.name
        assert "+changes" not in found["commit"], path.name
