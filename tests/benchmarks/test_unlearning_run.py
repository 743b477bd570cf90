from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.unlearning.cell import Limits
from benchmarks.unlearning.grids import GRIDS, Grid, Group, cells, groups
from benchmarks.unlearning.methods.lethe import METHODS as LETHE
from benchmarks.unlearning.methods.retrain import METHODS as RETRAIN
from benchmarks.unlearning.protocol import Method
from benchmarks.unlearning.runs import Watch, told
from benchmarks.unlearning.scenarios import SCENARIOS
from benchmarks.unlearning.worker import measure
from tests.benchmarks.small_world import small_world

KNOWN: Mapping[str, Method] = {method.name: method for method in (*RETRAIN, *LETHE)}
LIMITS = Limits(requests_s=0.05, observed=1, stream_s=0.1, checkpoints=1)
GRID = Grid("small", ("small",), (0,), LIMITS, {"": ("users-random-5", "topic")})
POPULARITY = Group(False, 0, "small", "popularity", "retrain", 0)


def run(folder: Path, *, grid: Grid = GRID, group: Group = POPULARITY) -> dict[str, Any]:
    measure(
        grid,
        group,
        known=KNOWN,
        read=lambda _: small_world(),
        folder=folder / "cells",
        cache=folder / "cache",
    )
    return {path.stem: json.loads(path.read_text()) for path in (folder / "cells").glob("*.json")}


def test_cell_is_a_file_with_seed_commit_and_machine(tmp_path: Path) -> None:
    found = run(tmp_path)

    assert sorted(found) == [
        "small_popularity_retrain_topic_s0",
        "small_popularity_retrain_users-random-5_s0",
    ]
    for cell in found.values():
        assert cell["seed"] == 0
        assert cell["commit"]
        assert cell["machine"]["cores"] >= 1
        assert cell["distance"]["rbo@20"]["unlearned"]["mean"] == 0


def test_run_that_was_cut_off_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path)
    kept, lost = sorted((tmp_path / "cells").glob("*.json"))
    before = kept.stat().st_mtime_ns
    lost.unlink()

    again = run(tmp_path)

    assert len(again) == 2
    assert kept.stat().st_mtime_ns == before
    assert capsys.readouterr().out.count("cell small_popularity") == 4


def test_cell_of_a_smaller_grid_is_measured_again(tmp_path: Path) -> None:
    run(tmp_path)
    larger = Limits(requests_s=0.05, observed=2, stream_s=0.1, checkpoints=1)

    again = run(tmp_path, grid=Grid("larger", ("small",), (0,), larger, GRID.scenarios))

    assert {cell["limits"]["observed"] for cell in again.values()} == {2}


def test_cell_of_fewer_settings_is_measured_again(tmp_path: Path) -> None:
    run(tmp_path)
    path = min((tmp_path / "cells").glob("*.json"))
    cell = json.loads(path.read_text())
    path.write_text(json.dumps({**cell, "settings_tried": 0}))

    assert run(tmp_path)[path.stem]["settings_tried"] == 1


def test_settings_are_chosen_once_and_recorded(tmp_path: Path) -> None:
    group = Group(False, 0, "small", "ease", "retrain", 0)

    found = run(tmp_path, group=group)

    tuning = found.pop("tuning_small_backbone_ease")
    assert len(tuning["tried"]) == 4
    best = tuning["tried"][tuning["best"]]
    assert best["valid_ndcg@10"] == max(row["valid_ndcg@10"] for row in tuning["tried"])
    assert all(cell["backbone_setting"] == best["setting"] for cell in found.values())


def test_each_scenario_has_a_floor_of_its_own(tmp_path: Path) -> None:
    for cell in run(tmp_path, group=Group(False, 0, "small", "ease", "retrain", 0)).values():
        if "scenario" in cell:
            assert cell["collateral"]["retrained_to_retrained"]["rbo@20"] == 1
            assert cell["distance"]["rbo@20"]["floor"] == 0
            assert cell["distance"]["rbo@20"]["original"] > 0


def test_run_says_how_long_it_took_and_adds_to_those_before(tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    watch = Watch(folder)
    run(tmp_path)
    watch.note(GRID, asked={"jobs": 2}, failed=[])
    Watch(folder).note(GRID, asked={"jobs": 2}, failed=[])
    again = Watch(folder)
    min(folder.glob("small_*.json")).touch()
    again.note(GRID, asked={"jobs": 1}, failed=["one"])

    found = json.loads((folder / "run_small.json").read_text())["runs"]

    assert [one["cells_measured"] for one in found] == [2, 1]
    assert [one["cells_before"] for one in found] == [0, 1]
    assert found[0]["wall_s"] > 0
    assert "1 groups failed" in told(folder).splitlines()[1]


@pytest.mark.parametrize("grid", GRIDS.values(), ids=lambda grid: grid.name)
def test_grid_has_every_method_and_only_scenarios_there_are(grid: Grid) -> None:
    chosen = groups(grid, KNOWN)

    assert {group.method for group in chosen} == set(KNOWN)
    names = [name for one in chosen for name in cells(grid, one, KNOWN[one.method]).values()]
    assert len(set(names)) == len(names)
    for group in chosen:
        assert set(cells(grid, group, KNOWN[group.method])) <= set(SCENARIOS)
        is_larger = group.data == "ml-1m"
        assert not (is_larger and "topic" in cells(grid, group, KNOWN[group.method]))
