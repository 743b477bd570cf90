"""Published figures beside ours, ML-100K and ML-1M, HR@10 and NDCG@10.

CRAGRU's and its RecEraser's are those of the scripts in its authors' repository (HEAD 4956687),
RecBole's those of its README. The tables in the papers of SISA, GraphEraser, RecEraser, IFRU
and SCIF use other data, splits or metrics; of three of them the abstract says how many times
faster than retraining they are, which is comparable with care. Those of RecEraser and SCIF give
no figure; ours stand there alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.unlearning.figures import MAIN, NAMES, SINGLE, Cells, Row


@dataclass(frozen=True, slots=True)
class Published:
    """A figure of others.

    Args:
        who: as published.
        data: our name of the data set.
        hr: HR@10.
        ndcg: NDCG@10.
        backbone: ours that is comparable.
        methods: ours that are comparable, best first; the first that was measured is shown.
        why: what makes the difference.
    """

    who: str
    data: str
    hr: float
    ndcg: float
    backbone: str
    methods: tuple[str, ...]
    why: str


_LEAK: Final = (
    "theirs: Llama 3 of 8 billion parameters, and 80 % of the test items in the prompt's history; "
    "ours: SmolLM2 of 135 million, which orders the first 16 candidates by bare titles, and none"
)
_RECERASER: Final = "theirs: one scalar centroid for all shards, stopped on the test set"
_RECERASERS: Final = ("receraser_pair", "receraser_user", "receraser_item")

FIGURES: Final = (
    Published(
        "BPR, RecBole's quick start",
        "ml-100k",
        0.7614,
        0.2768,
        "bpr",
        ("retrain",),
        "no unlearning; ours after 10 % of the users were forgotten",
    ),
    Published("RecEraser BPR", "ml-100k", 0.4582, 0.1100, "bpr", _RECERASERS, _RECERASER),
    Published("RecEraser LightGCN", "ml-100k", 0.6137, 0.1668, "lightgcn", _RECERASERS, _RECERASER),
    Published("CRAGRU BPR", "ml-100k", 0.7116, 0.2801, "bpr", ("cragru_llm",), _LEAK),
    Published("CRAGRU LightGCN", "ml-100k", 0.6384, 0.2156, "lightgcn", ("cragru_llm",), _LEAK),
    Published("RecEraser BPR", "ml-1m", 0.4833, 0.1055, "bpr", _RECERASERS, _RECERASER),
    Published("RecEraser LightGCN", "ml-1m", 0.6003, 0.1467, "lightgcn", _RECERASERS, _RECERASER),
    Published("CRAGRU BPR", "ml-1m", 0.6849, 0.2563, "bpr", ("cragru_llm",), _LEAK),
    Published("CRAGRU LightGCN", "ml-1m", 0.7005, 0.2669, "lightgcn", ("cragru_llm",), _LEAK),
)


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """How many times faster than retraining a method is said to be, in its paper's abstract.

    Args:
        who: as published.
        said: the figure.
        methods: ours that are comparable.
        why: what makes the difference.
    """

    who: str
    said: str
    methods: tuple[str, ...]
    why: str


_NO_FIGURE: Final = "efficient, without a figure"

SPEED_UPS: Final = (
    SpeedUp(
        "SISA",
        "4.63 (Purchase), 2.45 (SVHN), 1.36 (ImageNet)",
        ("sisa", "sisa_pairs"),
        "theirs: a few requests among many rows of images and purchases, one shard each; here "
        "each shard still has every item's vector, and small models take many epochs",
    ),
    SpeedUp(
        "GraphEraser",
        "2.06 to 35.94, the larger the graph the more",
        ("grapheraser_lpa", "grapheraser_km"),
        "theirs: one node of citation and co-author graphs; here a shard keeps all items' nodes, "
        "and the weights are learned anew at each request",
    ),
    SpeedUp(
        "RecEraser",
        _NO_FIGURE,
        _RECERASERS,
        "theirs: one pair, one shard of ten; here a user, whose pairs lie in most shards unless "
        "it is users that are parted, and the aggregation is learned anew over all pairs",
    ),
    SpeedUp(
        "IFRU",
        "over 250 times methods that retrain",
        ("ifru",),
        "theirs: 1 or 2 % of the pairs of Amazon and BookCrossing at once, from long trainings; "
        "here retraining takes seconds, so that little can be saved",
    ),
    SpeedUp(
        "SCIF",
        _NO_FIGURE,
        ("scif",),
        "ours moves the user's row alone, as the paper's strict form does: fast, and the items' "
        "rows keep what they learned",
    ),
)


def faster(cells: Cells, data: Sequence[str]) -> str:
    """Return how much faster than retraining methods are in their papers, and here."""
    lines = [
        "| published | times retraining | ours | one user | 10 % of users | what differs |",
        "|" + " --- |" * 6,
    ]
    for one in SPEED_UPS:
        for name in data:
            for row in cells.rows(name, scenario=SINGLE):
                if row.method in one.methods:
                    ours = f"{name}: {row.title} | {_times(cells, row, SINGLE)}"
                    batch = _times(cells, row, MAIN)
                    lines.append(f"| {one.who} | {one.said} | {ours} | {batch} | {one.why} |")
    return "\n".join(lines)


def _times(cells: Cells, row: Row, scenario: str) -> str:
    """Return how many times less processor time than retraining the same backbone takes."""
    ours, retrained = (
        cells.mean(one, scenario, "time", "cpu_s", "p50")
        for one in (row, Row(row.data, (row.rank[0], 0), row.backbone, "retrain"))
    )
    return f"{retrained / ours:,.1f}" if ours and retrained else "·"


def beside(cells: Cells, data: Sequence[str]) -> str:
    """Return published figures, ours beside them where that was measured, and why they differ."""
    lines = [
        "| published | data | HR@10 | NDCG@10 | ours | HR@10 | NDCG@10 | what differs |",
        "|" + " --- |" * 8,
    ]
    for one in FIGURES:
        if one.data in data:
            theirs = f"{one.who} | {one.data} | {one.hr:.3f} | {one.ndcg:.3f}"
            lines.append(f"| {theirs} | {_ours(cells, one)} | {one.why} |")
    return "\n".join(lines)


def _ours(cells: Cells, one: Published) -> str:
    rows = {
        row.method: row
        for row in cells.rows(one.data, scenario=MAIN)
        if row.backbone == one.backbone
    }
    for method in one.methods:
        if method in rows:
            hr, ndcg = (
                cells.mean(rows[method], MAIN, "utility", "retained", name, "unlearned", "mean")
                for name in ("hr@10", "ndcg@10")
            )
            return f"{rows[method].title} | {hr:.3f} | {ndcg:.3f}"
    return f"{NAMES[one.backbone]}: not measured | · | ·"
