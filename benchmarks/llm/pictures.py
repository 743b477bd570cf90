"""Draw the pictures of the LLM's ranking from the result files alone.

``python -m benchmarks.llm.pictures`` writes ``llm_speed.png``, ``llm_isolation.png``,
``llm_times.png``, ``llm_injection.png`` and ``llm_regimes.png`` in ``docs/images``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
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
TIMED: Final = {
    "none": "without\na model",
    "query": "query, by\nlikelihood",
    "titles": "titles, by\nlikelihood",
    "label": "labels (off for\nthis model)",
}
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


def draw_times(result: dict[str, Any]) -> None:
    """Draw median and p95 of a list in each form, the first time and again."""
    figure, axis = plt.subplots(figsize=(7.5, 3.4), constrained_layout=True)
    for number, (step, colour) in enumerate({"first": "#1f5673", "again": "#9db7c9"}.items()):
        told = [result["forms"][form][step] for form in TIMED]
        places = [index + 0.36 * (number - 0.5) for index in range(len(TIMED))]
        heights = [one["p50_s"] for one in told]
        over = [[0.0] * len(told), [one["p95_s"] - one["p50_s"] for one in told]]
        axis.bar(places, heights, width=0.32, color=colour, label=step, yerr=over, capsize=3)
    axis.axhline(result["goal_s"], color="#d1495b", linewidth=1, linestyle="--")
    axis.set_xticks(range(len(TIMED)), list(TIMED.values()), fontsize=8)
    axis.set_ylabel("seconds of a list: median, to p95")
    axis.legend(fontsize=8)
    axis.set_title(
        "A list that a real small model ranks, on two cores (line: the goal)", fontsize=10
    )
    figure.savefig(IMAGES / "llm_times.png", dpi=120)
    plt.close(figure)


def draw_regimes(results: dict[str, dict[str, Any]]) -> None:
    """Draw what the blend adds in each situation and form, with 95 % intervals."""
    rows = [
        (f"{data}: {one['situation'].replace('_', ' ')}, by {one['form']} (n {one['cases']})", one)
        for data, result in results.items()
        for one in result["forms"].values()
        if one["cases"]
    ]
    figure, axis = plt.subplots(figsize=(7.5, 0.6 + 0.32 * len(rows)), constrained_layout=True)
    for place, (_, one) in enumerate(rows):
        mean, low, high = one["gain"]
        colour = "#1f5673" if one["pays"] else "#9db7c9"
        over = [[mean - low], [high - mean]]
        axis.errorbar(mean, -place, xerr=over, fmt="o", color=colour, capsize=3)
    axis.axvline(0, color="#d1495b", linewidth=1, linestyle="--")
    axis.set_yticks([-place for place in range(len(rows))], [name for name, _ in rows], fontsize=8)
    axis.set_xlabel("NDCG@10 that the small model adds, 95 % interval (dark: pays)")
    figure.savefig(IMAGES / "llm_regimes.png", dpi=120)
    plt.close(figure)


def draw_injection(result: dict[str, Any]) -> None:
    """Draw how far an attacker's title moves up by the model, and in the list that is served."""
    attacks = sorted(
        result["forms"]["query"], key=lambda name: result["forms"]["query"][name]["mean_up"]
    )
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True, constrained_layout=True)
    colours = {"label": "#9db7c9", "titles": "#1f5673", "query": "#d1495b"}
    for axis, key, title in (
        (axes[0], "mean_up", "in the model's own order of 20"),
        (axes[1], "blended_mean_up", f"in the list served, at a weight of {result['weight']}"),
    ):
        for number, (form, colour) in enumerate(colours.items()):
            found = [result["forms"][form][name] for name in attacks]
            mean = np.array([one[key] for one in found])
            low, high = np.array([one[f"{key}_95"] for one in found]).T
            axis.barh(
                np.arange(len(attacks)) + 0.27 * (number - 1),
                mean,
                xerr=[mean - low, high - mean],
                error_kw={"linewidth": 0.6},
                height=0.25,
                color=colour,
                label=f"by {form}",
            )
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set(xlabel="places up in the mean, 95 % intervals over people", title=title)
        axis.grid(visible=True, axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(attacks)), attacks, fontsize=8)
    axes[0].legend(fontsize=8, loc="lower right")
    figure.suptitle(
        f"A hostile title from the lower half, {result['persons']} people, a small real model",
        fontsize=10,
    )
    figure.savefig(IMAGES / "llm_injection.png", dpi=120)
    plt.close(figure)


def main() -> None:
    """Draw what was measured."""
    draw_speed(read("llm_speed"))
    draw_isolation(read("llm_isolation"))
    draw_times(read("llm_times"))
    draw_injection(read("llm_injection"))
    draw_regimes({data: read(f"llm_regimes_{data}") for data in ("demo", "ml-100k")})


if __name__ == "__main__":
    main()
