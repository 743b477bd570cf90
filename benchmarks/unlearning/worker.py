"""Measure the cells of one method on one backbone: a process of its own, so memory is its own.

Started by ``benchmarks.unlearning.run``; prints a line for each cell that is there.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.harness import write_result
from benchmarks.unlearning.cell import Bench
from benchmarks.unlearning.grids import GRIDS, Grid, Group, cells, is_done
from benchmarks.unlearning.protocol import Method, Setup
from benchmarks.unlearning.registry import methods
from benchmarks.unlearning.scenarios import SCENARIOS
from benchmarks.unlearning.tuning import backbone_setting, method_setting
from benchmarks.unlearning.world import World


def measure(
    grid: Grid,
    group: Group,
    *,
    known: Mapping[str, Method],
    read: Callable[[str], World] = World.read,
    folder: Path,
    cache: Path,
    only: Sequence[str] = (),
    tunes: bool = True,
) -> None:
    """Measure every cell of a group that is not there yet.

    Args:
        grid: with its scenarios and limits.
        group: what to measure.
        known: methods by name; ``retrain``, the group's and its reference.
        read: gives a data set by name.
        folder: where cells lie.
        cache: where answers of retrained systems and fits lie.
        only: names of scenarios; none means all of the grid.
        tunes: whether a method's setting is chosen; else it is the first of its grid. That of
            its backbone is always chosen.
    """
    method = known[group.method]
    wanted = cells(grid, group, method, only=only)
    tried = len(method.grid) if tunes else 1
    missing = {
        key: name
        for key, name in wanted.items()
        if not is_done(folder, name, grid=grid, tried=tried)
    }
    for name in wanted.values():
        if name not in missing.values():
            print(f"cell {name}", flush=True)
    if not missing:
        return
    world = read(group.data)
    setup = _tuned(world, group, known, folder=folder, cache=cache, tunes=tunes)
    reference = known[method.reference or method.name]
    bench = Bench(world, method=method, reference=reference, setup=setup, cache=cache)
    before, begun = _peak_mib(), time.process_time()
    for scenario, name in missing.items():
        facts = bench.measure(SCENARIOS[scenario](world, seed=group.seed), grid.limits)
        document = {
            **facts,
            "seed": group.seed,
            "data": group.data,
            "backbone": group.backbone,
            "method": group.method,
            "scenario": scenario,
            "note": method.note,
            "reference": reference.name,
            "limits": asdict(grid.limits),
            "backbone_setting": setup.backbone_setting,
            "setting": setup.setting,
            "settings_tried": tried,
            "peak_mib": _peak_mib(),
            "peak_mib_before_fitting": before,
            "cell_cpu_s": time.process_time() - begun,
        }
        write_result(name, rounded(document), folder=folder)
        print(f"cell {name}", flush=True)
        begun = time.process_time()


def _tuned(
    world: World,
    group: Group,
    known: Mapping[str, Method],
    *,
    folder: Path,
    cache: Path,
    tunes: bool,
) -> Setup:
    """Return the group's set-up with the settings that validation chose."""
    retrain = known["retrain"]
    chosen = backbone_setting(world, group.backbone, retrain=retrain, folder=folder, cache=cache)
    setup = Setup(world.dataset, world.valid, group.backbone, chosen, group.seed)
    method = known[group.method]
    if not tunes:
        return replace(setup, setting=method.grid[0])
    setting = method_setting(world, method, setup, folder=folder, cache=cache)
    return replace(setup, setting=setting)


def rounded(facts: dict[str, object]) -> dict[str, object]:
    """Return the figures with six digits."""
    return {key: _rounded(value) for key, value in facts.items()}


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return rounded(value)
    return [_rounded(one) for one in value] if isinstance(value, list) else value


def _peak_mib() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def main() -> None:
    """Measure the group named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", choices=sorted(GRIDS), required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--method", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--scenario", nargs="*", default=[])
    parser.add_argument("--untuned", action="store_true")
    options = parser.parse_args()
    group = Group(
        is_learned=False,
        rank=0,
        data=options.data,
        backbone=options.backbone,
        method=options.method,
        seed=options.seed,
    )
    measure(
        GRIDS[options.grid],
        group,
        known=methods(),
        folder=options.folder,
        cache=options.cache,
        only=options.scenario,
        tunes=not options.untuned,
    )


if __name__ == "__main__":
    main()
