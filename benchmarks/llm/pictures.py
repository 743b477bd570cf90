"""Draw the pictures of the LLM's ranking from the result files alone.

``python -m benchmarks.llm.pictures`` writes ``llm_speed.png``, ``llm_isolation.png``,
``llm_injection.png`` and ``reader.png`` in ``docs/images``.
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
    "json_labels": ("JSON, our fallback", "#ee9b00"),
    "json_item_ids": ("JSON as CRAGRU asks", "#d1495b"),
}
DATA: Final = {"ml-100k": "MovieLens 100K", "demo": "the demo's simulated readers"}
ORDERS: Final = {
    "blended": ("blended, weight chosen on the validation part", "#1f5673"),
    "at_default_weight": ("blended at the default weight", "#9db7c9"),
    "model_alone": ("the model's order alone", "#d1495b"),
}


SHIFTS: Final = (
    ("mean_up", "the model's own order", "#d1495b"),
    ("blended_mean_up", "the list served, at the default weight", "#1f5673"),
)
STEPS: Final = {
    "new": "a new user, with the\nhistory of the others",
    "again": "the same\nuser again",
    "after_forget": "after a forget of\none memory",
    "again_after_forget": "again after\nthe forget",
    "one_salt_for_all": "control: one salt\nfor all users",
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
            places = [index + 0.2 * (number - 1.5) for index in range(len(CLIENTS))]
            axis.bar(places, heights, width=0.18, color=colour, label=label)
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


def draw_isolation(result: dict[str, Any]) -> None:
    """Draw how many tokens vLLM took from its prefix cache at each step."""
    figure, axis = plt.subplots(figsize=(7.5, 3.4), constrained_layout=True)
    tokens = [result["cached_tokens"][step] / result["users"] for step in STEPS]
    colours = ["#d1495b" if step in {"new", "after_forget"} else "#9db7c9" for step in STEPS]
    bars = axis.bar(range(len(STEPS)), tokens, color=colours)
    axis.bar_label(bars, fmt="%.0f", padding=2)
    axis.set_xticks(range(len(STEPS)), list(STEPS.values()), fontsize=7.5)
    axis.set_ylabel("tokens found in the cache, per user")
    axis.set_title(
        "Nothing of another user's prompt, or of a forgotten one, is used again", fontsize=10
    )
    axis.margins(y=0.15)
    figure.savefig(IMAGES / "llm_isolation.png", dpi=120)
    plt.close(figure)


def draw_injection(result: dict[str, Any]) -> None:
    """Draw how many of 50 places an attacker's title moves up by each way of writing it."""
    attacks = sorted(result["attacks"].items(), key=lambda pair: pair[1]["mean_up"])
    figure, axis = plt.subplots(figsize=(8, 4.2), constrained_layout=True)
    for shift, (figures, label, colour) in zip((0.2, -0.2), SHIFTS, strict=True):
        places = [index + shift for index in range(len(attacks))]
        axis.barh(
            places, [found[figures] for _, found in attacks], height=0.38, color=colour, label=label
        )
    axis.set_yticks(range(len(attacks)), [name for name, _ in attacks], fontsize=8)
    axis.axvline(0, color="#888888", linewidth=1)
    axis.set_xlabel("places up of 50, mean")
    axis.legend(fontsize=8, loc="lower right")
    figure.savefig(IMAGES / "llm_injection.png", dpi=120)
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
    draw_isolation(read("llm_isolation"))
    draw_injection(read("llm_injection"))
    measured = [data for data in DATA if (RESULTS / f"reader_{data}.json").is_file()]
    if measured:
        draw_reader({data: read(f"reader_{data}") for data in measured})


if __name__ == "__main__":
    main()
