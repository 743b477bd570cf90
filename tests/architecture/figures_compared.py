"""The README's comparison: statements with their sources, and figures out of the result files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

Result = Callable[[str], Any]
_CELL: Final = "unlearning/ml-100k_{name}_{scenario}_s0"
SYSTEMS: Final = (
    (
        "the plain stack: SQL, Chroma, a trained model",
        "rows at once; vectors: see the next line",
        "until it is fitted again",
        "until they expire",
        "comes back",
        "-",
        "by construction",
    ),
    (
        "Chroma 1.5.9, `delete`",
        "gone from answers; on disk {chroma}",
        "has none",
        "-",
        "comes back",
        "-",
        "[erasure_peers](benchmarks/results/erasure_peers.json)",
    ),
    (
        "mem0 2.2.1 over Chroma, `delete_all`",
        "gone from answers; on disk {mem0}; each deleted text is written into `history.old_memory`",
        "has none",
        "-",
        "comes back",
        "-",
        "[erasure_peers](benchmarks/results/erasure_peers.json), `mem0/memory/main.py`",
    ),
    (
        "Gorse at 5404aefa, `DELETE /api/user/{{id}}`",
        "user and feedback, in two statements",
        "user factors, until later fits (60 m)",
        "the user's list is not removed and is served first; no bound found",
        "comes back, `auto_insert_user`",
        "always `RowAffected: 1`",
        "`server/rest.go`, `logics/recommend.go`, `worker/pipeline.go`",
    ),
    (
        "Fides at 96aa40cb (asks other systems to erase)",
        "what its connectors delete or mask there",
        "?",
        "?",
        "?",
        "tables of its own, neither hashed nor signed",
        "its source",
    ),
    (
        "**Lethe**",
        "on disk {lethe}, in what the service can read",
        "none holds a user; counts are decremented",
        "none after the `202`",
        "refused, until the person consents anew",
        "signed certificate, Merkle log, offline verifier",
        "[docs/audit.md](docs/audit.md), [figures](docs/figures.md)",
    ),
)
METHODS: Final = (
    ("Retraining", "bpr_retrain", "BPR-MF"),
    ("SISA", "bpr_sisa", "BPR-MF"),
    ("GraphEraser", "lightgcn_grapheraser_km", "LightGCN"),
    ("RecEraser", "bpr_receraser_pair", "BPR-MF"),
    ("IFRU", "bpr_ifru", "BPR-MF"),
    ("SCIF", "bpr_scif", "BPR-MF"),
    ("CRAGRU", "bpr_cragru_llm", "BPR-MF and a small language model"),
    ("Retraining", "ease_retrain", "EASE"),
    ("**Lethe**", "ease_lethe", "EASE from counts"),
    ("**Lethe**, settled", "ease_lethe_settled", "EASE from counts"),
)


def compared(result: Result) -> str:
    """Return both tables: systems that delete, and methods that make a model unlearn."""
    return "\n".join([*_systems(result), "", *_methods(result)])


def _systems(result: Result) -> list[str]:
    left = {
        "chroma": _share(result, "Chroma: delete"),
        "mem0": _share(result, "mem0 over Chroma: delete_all"),
        "lethe": _share(result, "Lethe"),
    }
    lines = [
        "| system | data | trained models | cached answers | if sent again | proof | source |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    return lines + [f"| {' | '.join(cell.format(**left) for cell in row)} |" for row in SYSTEMS]


def _share(result: Result, procedure: str) -> str:
    rows = [one for one in result("erasure_peers")["rows"] if one["procedure"] == procedure]
    worst = {kind: max(one["left"][kind] for one in rows) for kind in ("document", "vector")}
    if not any(worst.values()):
        return "nothing is left"
    return ", ".join(f"{share:.0%} of the {kind}s are left" for kind, share in worst.items())


def _methods(result: Result) -> list[str]:
    lines = [
        "| method | on | processor time to forget one | NDCG@10 of others | left in weights |",
        "| --- | --- | --- | --- | --- |",
    ]
    for title, name, base in METHODS:
        one = result(_CELL.format(name=name, scenario="one-user"))
        tenth = result(_CELL.format(name=name, scenario="users-random-10"))
        ndcg = tenth["utility"]["retained"]["ndcg@10"]["unlearned"]["mean"]
        seconds = one["time"]["cpu_s"]["p50"]
        spent = f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
        weights = one["personal_data_in_weights"]
        lines.append(f"| {title} | {base} | {spent} | {ndcg:.3f} | {weights} |")
    return lines
