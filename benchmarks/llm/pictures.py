"""Draw the pictures of the LLM's ranking from the result files alone.

``python -m benchmarks.llm.pictures`` writes ``docs/images/llm_speed.png`` and
``docs/images/reader.png``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.harness import RESULTS
from benchmarks.llm.speed import CLIENTS, SIZES

mpl.use("Agg")

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
FORMS: Final = {
    "one_pass_held": ("one pass, prompt held in the cache", "#9db7c9"),
    "one_pass": ("one pass", "#1f5673"),
    "pointwise": ("pointwise, yes or no", "#6a994e"),
    "json_labels": ("JSON, our fallback", "#ee9b00"),
    "json_item_ids": ("JSON as CRAGRU asks", "#d1495b"),
}
DATA: Final = {"ml-100k": "MovieLens 100K", "demo": "the demo's simulated readers"}
ORDERS: Final = {
    "blended": ("blended, weight chosen on the validation part", "#1f5673"),
    "at_default_weight": ("blended at the default weight", "#9db7c9"),
    "model_alone": ("the model's order alone", "#d1495b"),
}


def read(name: str) -> dict[str, Any]:
    """Return a result file."""
    document: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return document


def draw_speed(result: dict[str, Any]) -> None:
    """Draw the median time of each form, by candidates and clients."""
    figure, axes = plt.subplots(
        1, len(SIZES), figsize=(12, 3.8), sharey=True, constrained_layout=True
    )
    for axis, size in zip(axes, SIZES, strict=True):
        for number, (form, (label, colour)) in enumerate(FORMS.items()):
            races = [
                result["races"][f"{size} candidates, {clients} clients"] for clients in CLIENTS
            ]
            heights = [race[form]["median_ms"] for race in races]
            places = [index + 0.16 * (number - 2) for index in range(len(CLIENTS))]
            axis.bar(places, heights, width=0.15, color=colour, label=label)
            for place, height, race in zip(places, heights, races, strict=True):
                if ratio := race[form].get("times_one_pass"):
                    text = f"{ratio:.1f}x"
                    axis.text(place, height * 1.08, text, ha="center", fontsize=6, rotation=90)
        axis.set_xticks(range(len(CLIENTS)), [f"{clients} clients" for clients in CLIENTS])
        axis.set_title(f"{size} candidates")
        axis.set_yscale("log")
    axes[0].set_ylabel("median ms of a call (log)")
    axes[0].legend(fontsize=7, loc="upper left")
    axes[0].set_ylim(top=axes[0].get_ylim()[1] * 4)
    figure.savefig(IMAGES / "llm_speed.png", dpi=120)
    plt.close(figure)


def draw_reader(results: dict[str, dict[str, Any]]) -> None:
    """Draw what each strategy gains over the fused order, with its interval."""
    figure, axes = plt.subplots(
        1, len(results), figsize=(6 * len(results), 3.6), constrained_layout=True, squeeze=False
    )
    for axis, (data, result) in zip(axes[0], results.items(), strict=True):
        strategies = [name for name in result["strategies"] if name != "none"]
        for shift, (order, (label, colour)) in zip((-0.25, 0, 0.25), ORDERS.items(), strict=True):
            gains = [result["strategies"][name][order]["over_fused"] for name in strategies]
            axis.errorbar(
                [index + shift for index in range(len(strategies))],
                [gain["mean"] for gain in gains],
                yerr=[
                    [gain["mean"] - gain["low"] for gain in gains],
                    [gain["high"] - gain["mean"] for gain in gains],
                ],
                fmt="o",
                color=colour,
                label=label,
            )
        axis.axhline(0, color="#888888", linewidth=1)
        axis.set_xticks(range(len(strategies)), strategies)
        fused = result["baselines"]["fused"]["ndcg@10"]["mean"]
        axis.set_title(f"{DATA[data]}: fused order {fused:.3f}", fontsize=10)
        axis.set_ylabel("NDCG@10 over the fused order")
    axes[0][0].legend(fontsize=7)
    figure.savefig(IMAGES / "reader.png", dpi=120)
    plt.close(figure)


def main() -> None:
    """Draw what was measured."""
    draw_speed(read("llm_speed"))
    measured = [data for data in DATA if (RESULTS / f"reader_{data}.json").is_file()]
    if measured:
        draw_reader({data: read(f"reader_{data}") for data in measured})


if __name__ == "__main__":
    main()
