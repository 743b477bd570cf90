"""Draw the cells: quality against time, and membership inference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

from benchmarks.unlearning.figures import MAIN, SINGLE, Cells, Row, membership_left
from benchmarks.unlearning.tables import RBO

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
_NDCG: Final = ("utility", "retained", "ndcg@10", "unlearned", "mean")
_LEFT: Final = 0.1
_COLOURS: Final = {"forgets": "#1f5673", "noise": "#6a8fa8", "keeps": "#d1495b"}


def draw(cells: Cells) -> Iterator[Path]:
    """Draw both pictures of every data set; yield their paths."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "lethe"
    for data in cells.data():
        yield _save(_quality_against_time(cells, data), name=f"unlearning_{data}")
        yield _save(_attacks(cells, data), name=f"unlearning_mia_{data}")


def _quality_against_time(cells: Cells, data: str) -> Any:  # noqa: ANN401 - matplotlib has no types here
    """Draw one numbered point a system, but not those that were shown the test answers."""
    figure, (axis, key) = plt.subplots(1, 2, figsize=(10, 5.6), width_ratios=(3, 1))
    names: list[str] = []
    for row in cells.rows(data, scenario=MAIN):
        took = cells.mean(row, SINGLE, "time", "cpu_s", "p50")
        ndcg = cells.mean(row, MAIN, *_NDCG)
        if took and ndcg and not row.method.endswith("_leaky"):
            names.append(f"{len(names) + 1:>2}  {_plain(row)}")
            axis.scatter(took, ndcg, color=_COLOURS[_verdict(cells, row)], s=150, alpha=0.85)
            at = {"fontsize": 6.5, "ha": "center", "va": "center", "color": "white"}
            axis.annotate(f"{len(names)}", (took, ndcg), **at)
    for name, label in (
        ("forgets", "residual and membership inference left: below .1"),
        ("noise", "residual lost in the noise of other seeds, membership below .1"),
        ("keeps", "one of them .1 or more"),
    ):
        axis.scatter([], [], color=_COLOURS[name], label=label)
    axis.set(
        xscale="log", xlabel="CPU seconds to forget one user", ylabel="NDCG@10 of those who stay"
    )
    axis.set_title(f"{data}, after 10 % of the users were forgotten", fontsize=10)
    axis.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    axis.margins(x=0.1, y=0.1)
    key.axis("off")
    key.text(0, 1, "\n".join(names), fontsize=7.5, va="top", transform=key.transAxes)
    return figure


def _attacks(cells: Cells, data: str) -> Any:  # noqa: ANN401 - matplotlib has no types here
    rows = cells.rows(data, scenario=MAIN)
    figure, axis = plt.subplots(figsize=(8.5, 0.28 * len(rows) + 1.2))
    for at, row in enumerate(rows):
        ends = [
            cells.mean(row, MAIN, "mia", "memory", system, "auc") or np.nan
            for system in ("retrained", "unlearned", "original")
        ]
        axis.plot(ends, [at] * 3, color="#cccccc", linewidth=1, zorder=1)
        for value, colour in zip(ends, ("#111111", "#ee9b00", "#d1495b"), strict=True):
            axis.scatter(value, at, color=colour, s=22, zorder=2)
    for name, colour in (
        ("retrained", "#111111"),
        ("after forgetting", "#ee9b00"),
        ("not forgotten", "#d1495b"),
    ):
        axis.scatter([], [], color=colour, s=22, label=name)
    axis.set_yticks(range(len(rows)), [_plain(row) for row in rows], fontsize=7)
    axis.invert_yaxis()
    axis.set_xlabel("AUC of membership inference on the server's memory")
    axis.legend(fontsize=7, loc="lower right")
    return figure


def _verdict(cells: Cells, row: Row) -> str:
    value = cells.mean(row, MAIN, *RBO, "residual")
    left = membership_left(cells, row, MAIN)
    if abs(value or 0) >= _LEFT or abs(left or 0) >= _LEFT:
        return "keeps"
    return "noise" if value is None else "forgets"


def _plain(row: Row) -> str:
    return row.title.replace("*", "")


def _save(figure: Any, *, name: str) -> Path:  # noqa: ANN401 - matplotlib has no types here
    IMAGES.mkdir(parents=True, exist_ok=True)
    path = IMAGES / f"{name.replace('-', '')}.svg"
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
