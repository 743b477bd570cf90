"""Draw the pictures of forgetting and of quality from the result files alone.

``python -m benchmarks.quality.pictures`` writes ``quality.svg``, ``served.svg`` and ``forget.svg``
in ``docs/images``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from benchmarks.harness import RESULTS

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
NAMES: Final = {
    "popularity": "popularity",
    "bpr": "BPR",
    "item_knn": "item-kNN",
    "user_knn": "user-kNN",
    "lightgcn": "LightGCN",
    "implicit_als": "iALS (implicit)",
    "lenskit_als": "iALS (LensKit)",
    "service": "Lethe",
}
DATA: Final = ("ml-100k", "ml-1m")
PROTOCOLS: Final = {
    "random": "ML-100K, a random tenth of each user",
    "time": "ML-100K, the next film",
}
METRICS: Final = {"ndcg_all": "all that is held out", "ndcg_liked": "what the user likes of it"}
COLOURS: Final = {"before": "#9db7c9", "after": "#1f5673"}


def read(name: str) -> dict[str, Any]:
    """Return a result file."""
    document: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return document


def draw_quality() -> None:
    """Draw NDCG@10 with its interval, before and after forgetting, for what was measured."""
    measured = [data for data in DATA if (RESULTS / f"quality_{data}.json").is_file()]
    figure, grid = plt.subplots(1, len(measured), figsize=(5 * len(measured), 3.6), squeeze=False)
    axes = grid[0]
    for axis, data in zip(axes, measured, strict=True):
        result = read(f"quality_{data}")
        names = [name for name in NAMES if name in result["before"]["models"]]
        for shift, case in ((-0.2, "before"), (0.2, "after")):
            shown = [name for name in names if name in result[case]["models"]]
            values = [result[case]["models"][name]["ndcg@10"] for name in shown]
            axis.barh(
                [names.index(name) + shift for name in shown],
                [value["mean"] for value in values],
                xerr=[
                    [value["mean"] - value["low"] for value in values],
                    [value["high"] - value["mean"] for value in values],
                ],
                height=0.38,
                color=COLOURS[case],
                label=f"{case} forgetting 10 % of the users",
            )
        axis.set_yticks(range(len(names)), [NAMES[name] for name in names])
        axis.set_title(f"{data}: NDCG@10, 95 % interval", fontsize=10)
    axes[0].legend(fontsize=7, loc="lower right")
    save(figure, name="quality")


def draw_served() -> None:
    """Draw NDCG@10 of the list that a caller gets, at random and in time, beside the others."""
    result = read("quality_served_ml-100k")
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True)
    for axis, (key, title) in zip(axes, PROTOCOLS.items(), strict=True):
        arms = result[key]["arms"]
        for shift, metric, colour in ((-0.2, "ndcg_all", "before"), (0.2, "ndcg_liked", "after")):
            values = [arm[metric] for arm in arms.values()]
            axis.barh(
                [at + shift for at in range(len(arms))],
                [value["mean"] for value in values],
                xerr=[
                    [value["mean"] - value["low"] for value in values],
                    [value["high"] - value["mean"] for value in values],
                ],
                height=0.38,
                color=COLOURS[colour],
                label=METRICS[metric],
            )
        axis.set_yticks(range(len(arms)), list(arms))
        axis.set_title(f"{title}: NDCG@10, 95 % interval", fontsize=10)
    axes[0].legend(fontsize=7, loc="lower right")
    save(figure, name="served")


def draw_forget() -> None:
    """Draw the time of a forget against the number of users."""
    sizes = read("neighbours_scaling")["sizes"]
    figure, axis = plt.subplots(figsize=(5, 3.4))
    users = [size["users"] for size in sizes]
    for part, style in (("p50", "o-"), ("p99", "s--")):
        times = [size["forget_cpu_ms"][part] for size in sizes]
        axis.plot(users, times, style, color=COLOURS["after"], label=part)
    axis.set(xscale="log", ylim=(0, None), xlabel="users (60,000 items)", ylabel="ms, CPU")
    axis.set_title("Forgetting one user does not depend on the others", fontsize=10)
    axis.legend()
    save(figure, name="forget")


def save(figure: Figure, *, name: str) -> None:
    """Write a picture whose bytes depend on the figures alone."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(IMAGES / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Draw them all."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "lethe"
    draw_quality()
    draw_forget()
    draw_served()


if __name__ == "__main__":
    main()
