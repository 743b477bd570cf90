"""Hold the cells against what is claimed of Lethe, and find methods that have a bug."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.unlearning.backbones import LEARNED
from benchmarks.unlearning.figures import MAIN, SINGLE, Cells, Row, membership_left
from benchmarks.unlearning.tables import RBO

OURS = ("lethe", "lethe_settled")
_NDCG = ("utility", "retained", "ndcg@10", "unlearned", "mean")
_CLOCKS = {"cpu_s": "processor", "wall_s": "wall"}


def below_popularity(cells: Cells, data: str) -> list[str]:
    """Return the systems that rank worse than the popular list, and where: they have a bug."""
    found = []
    for name in cells.scenarios(data):
        rows = cells.rows(data, scenario=name)
        floor = max(
            (cells.mean(row, name, *_NDCG) or 0.0 for row in rows if row.backbone == "popularity"),
            default=0.0,
        )
        worse = [row.title for row in rows if (cells.mean(row, name, *_NDCG) or 0.0) < floor]
        found += [f"{title} ({name})" for title in worse]
    return found


def sanity(cells: Cells, data: str) -> str:
    """Say which methods are below popularity."""
    worse = below_popularity(cells, data)
    if not worse:
        return "No system ranks below popularity in any scenario."
    return f"**Below popularity, a bug until explained: {', '.join(worse)}.**"


def claims(cells: Cells, data: str) -> str:
    """Return the claims, each with its figures and whether it holds on these cells."""
    rows = cells.rows(data, scenario=MAIN)
    ours = [row for row in rows if row.method in OURS]
    found = [*_exact(cells, ours), *_membership(cells, ours)]
    for row in ours:
        found += [
            _speed(cells, data, row, clock="cpu_s"),
            _speed(cells, data, row, clock="wall_s"),
            _utility(cells, rows, row),
        ]
        if any(other.backbone in LEARNED for other in rows):
            found.append(_speed(cells, data, row, clock="cpu_s", is_learned=True))
    return "\n".join(f"- {'Holds' if holds else '**Missed**'}: {text}" for holds, text in found)


def _exact(cells: Cells, ours: list[Row]) -> Iterator[tuple[bool, str]]:
    for row in ours:
        measured = [
            (name, value)
            for name in cells.scenarios(row.data)
            if (value := cells.mean(row, name, *RBO, "unlearned", "mean")) is not None
        ]
        worst = max((value for _, value in measured), default=1.0)
        text = (
            f"{row.title}: distance to the rebuild {worst:g} at most in {len(measured)} scenarios"
        )
        yield worst == 0.0, text


def _membership(cells: Cells, ours: list[Row]) -> Iterator[tuple[bool, str]]:
    for row in ours:
        for surface in ("served", "memory"):
            gaps = [
                abs(gap)
                for name in cells.scenarios(row.data)
                if (gap := cells.mean(row, name, "mia", surface, "auc_gap_to_retrained"))
                is not None
            ]
            worst = max(gaps, default=1.0)
            text = (
                f"{row.title}: membership inference on what is in {surface}"
                if surface == "memory"
                else f"{row.title}: membership inference on what is {surface}"
            )
            yield worst <= 0.02, f"{text}, AUC at most {worst:.3f} from the rebuild's"


def _speed(
    cells: Cells, data: str, row: Row, *, clock: str, is_learned: bool = False
) -> tuple[bool, str]:
    """Compare one user's request with the next method (that learns) whose residual is below .1."""
    path = ("time", clock, "p50")
    took = cells.mean(row, SINGLE, *path) or 0.0
    rivals = [
        (time, other.title)
        for other in cells.rows(data, scenario=SINGLE)
        if other.method not in OURS
        and not other.method.endswith("_leaky")
        and (other.backbone in LEARNED or not is_learned)
        and other.backbone != "popularity"
        and _forgets(cells, other)
        and (time := cells.mean(other, SINGLE, *path)) is not None
    ]
    if not rivals or not took:
        return False, f"{row.title}: nothing to compare the time with"
    time, title = min(rivals)
    what = "learned system" if is_learned else "system"
    text = (
        f"{row.title}: {time / took:,.1f} times as fast for one user in {_CLOCKS[clock]} time as "
        f"the next {what} with a residual below .1 or in the noise ({1e3 * took:,.1f} ms; {title}: "
        f"{1e3 * time:,.1f} ms); 100 times was the goal"
    )
    return time / took >= 100, text


def _forgets(cells: Cells, row: Row) -> bool:
    """Whether a rival counts: lenient, for what is lost in the noise counts, too."""
    value = cells.mean(row, MAIN, *RBO, "residual")
    left = membership_left(cells, row, MAIN)
    return (value is None or abs(value) < 0.1) and (left is None or abs(left) < 0.1)


def _utility(cells: Cells, rows: list[Row], row: Row) -> tuple[bool, str]:
    mine = cells.mean(row, MAIN, *_NDCG) or 0.0
    # Who was shown the test answers is there to show what the leak is worth, and is no rival.
    others = [
        (cells.mean(other, MAIN, *_NDCG) or 0.0, other.title)
        for other in rows
        if other.method not in OURS and not other.method.endswith("_leaky")
    ]
    best, title = max(others, default=(0.0, "nobody"))
    text = f"{row.title}: NDCG@10 {mine:.4f} of those who stay, best other {best:.4f} ({title})"
    return mine >= best - 1e-9, text
