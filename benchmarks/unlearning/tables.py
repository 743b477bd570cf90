"""The tables of docs/benchmark.md, from the cells alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.unlearning.figures import MAIN, SINGLE, Cells, Row, membership_left

Figure = Callable[[Row], str]

RBO: Final = ("distance", "rbo@20")
_NOISE: Final = "noise"
_OFF: Final = 0.1
_NOT_MEASURED: Final = "Not measured."


def table(rows: Sequence[Row], columns: Sequence[tuple[str, Figure]]) -> str:
    """Return a table in Markdown: the row's title, then the columns."""
    heads = ["system", *(name for name, _ in columns)]
    lines = [_line(heads), _line(["---"] * len(heads))]
    lines += [_line([row.title, *(figure(row) for _, figure in columns)]) for row in rows]
    return "\n".join(lines)


def utility(cells: Cells, data: str) -> str:
    """Ranking quality after 10 % of the users were forgotten."""
    rows = cells.rows(data, scenario=MAIN)

    def metric(group: str, name: str) -> Figure:
        path = ("utility", group, name, "unlearned")
        return lambda row: _with_interval(cells, row, MAIN, *path)

    def gap(row: Row) -> str:
        path = ("utility", "retained", "ndcg@10", "gap_to_retrained")
        return _with_interval(cells, row, MAIN, *path, signed=True)

    return table(
        rows,
        [
            ("NDCG@10 of those who stay", metric("retained", "ndcg@10")),
            ("its gap to retraining", gap),
            ("HR@10", metric("retained", "hr@10")),
            ("recall@20", metric("retained", "recall@20")),
            ("NDCG@10 of the forgotten", metric("asked", "ndcg@10")),
        ],
    )


def forgetting(cells: Cells, data: str) -> str:
    """How near to retraining, and what an attacker still finds, for the same cells."""
    rows = cells.rows(data, scenario=MAIN)

    def auc(surface: str, system: str) -> Figure:
        return lambda row: _number(cells.mean(row, MAIN, "mia", surface, system, "auc"))

    def tpr(row: Row) -> str:
        path = ("mia", "memory", "unlearned", "tpr_at_1_fpr")
        return _number(cells.mean(row, MAIN, *path))

    def far(name: str) -> Figure:
        path = (name, "mean") if name == "unlearned" else (name,)
        return lambda row: _number(cells.mean(row, MAIN, *RBO, *path))

    return table(
        rows,
        [
            ("residual", lambda row: residual(cells, row, MAIN)),
            ("distance to retrained", far("unlearned")),
            ("not forgotten", far("original")),
            ("other seed", far("floor")),
            ("AUC served", auc("served", "unlearned")),
            ("retrained's", auc("served", "retrained")),
            ("AUC memory", auc("memory", "unlearned")),
            ("retrained's", auc("memory", "retrained")),
            ("not forgotten", auc("memory", "original")),
            ("left of it", lambda row: _residual(membership_left(cells, row, MAIN))),
            ("TPR@1 % FPR", tpr),
        ],
    )


def speed(cells: Cells, data: str) -> str:
    """What one user's request takes."""
    rows = cells.rows(data, scenario=SINGLE)

    def quantile(clock: str, name: str) -> Figure:
        return lambda row: _seconds(cells.mean(row, SINGLE, "time", clock, name))

    def ratio(row: Row) -> str:
        fit = cells.mean(row, SINGLE, "fit_cpu_s") or 0.0
        took = cells.mean(row, SINGLE, "time", "cpu_s", "p50") or 0.0
        return f"{fit / took:,.0f} x" if took else "·"

    def size(row: Row) -> str:
        found = cells.mean(row, SINGLE, "state_bytes")
        return f"{found / 2**20:.1f}" if found is not None else "·"

    def peak(row: Row) -> str:
        cell = cells.one(row, SINGLE)
        return f"{cell['peak_mib'] - cell['peak_mib_before_fitting']:.0f}"

    return table(
        rows,
        [
            ("CPU p50", quantile("cpu_s", "p50")),
            ("p95", quantile("cpu_s", "p95")),
            ("p99", quantile("cpu_s", "p99")),
            ("wall p50", quantile("wall_s", "p50")),
            ("requests", lambda row: f"{cells.one(row, SINGLE)['time']['requests']}"),
            ("its own fit over p50", ratio),
            ("state MiB", size),
            ("peak MiB", peak),
            ("batch of 10 % CPU", lambda row: _batch(cells, row)),
        ],
    )


def collateral(cells: Cells, data: str) -> str:
    """What happened to the lists of everybody else."""
    rows = cells.rows(data, scenario=MAIN)

    def figure(pair: str, name: str) -> Figure:
        return lambda row: _number(cells.mean(row, MAIN, "collateral", pair, name))

    to_retrained, to_original = "unlearned_to_retrained", "unlearned_to_original"
    return table(
        rows,
        [
            ("RBO to retrained", figure(to_retrained, "rbo@20")),
            ("Jaccard@10", figure(to_retrained, "jaccard@10")),
            ("worst 1 %", figure(to_retrained, "rbo@20_of_worst_percent")),
            ("50 neighbours", figure(to_retrained, "rbo@20_of_50_neighbours")),
            ("two retrained", figure("retrained_to_retrained", "rbo@20")),
            ("RBO to the original", figure(to_original, "rbo@20")),
            ("retrained to the original", figure("retrained_to_original", "rbo@20")),
        ],
    )


def residuals(cells: Cells, data: str) -> str:
    """The residual in every scenario."""
    names = [name for name in cells.scenarios(data) if name != "stream"]

    def figure(name: str) -> Figure:
        return lambda row: residual(cells, row, name)

    return table(cells.rows(data), [(name, figure(name)) for name in names])


def memories(cells: Cells, data: str) -> str:
    """What is left of membership in memory, in every scenario."""
    names = [name for name in cells.scenarios(data) if name != "stream"]

    def figure(name: str) -> Figure:
        def left(row: Row) -> str:
            return _residual(membership_left(cells, row, name)) if cells.of(row, name) else "·"

        return left

    return table(cells.rows(data), [(name, figure(name)) for name in names])


def special(cells: Cells, data: str) -> str:
    """Topic and poison: how often what should be gone is shown."""
    rows = [row for row in cells.rows(data) if cells.of(row, "topic") or cells.of(row, "poison")]
    if not rows:
        return _NOT_MEASURED

    def figure(scenario: str, name: str, system: str) -> Figure:
        return lambda row: _number(cells.mean(row, scenario, name, system))

    return table(
        rows,
        [
            (f"{title}, {system}", figure(scenario, name, system))
            for title, scenario, name in (
                ("horror in the top 10", "topic", "topic_in_top_10"),
                ("a target in the top 20", "poison", "targets_hit_at_20"),
            )
            for system in ("original", "unlearned", "retrained")
        ],
    )


def stream(cells: Cells, data: str) -> str:
    """One request after another."""
    rows = cells.rows(data, scenario="stream")
    if not rows:
        return _NOT_MEASURED

    def figure(name: str) -> Figure:
        return lambda row: _seconds(cells.mean(row, "stream", "time", "cpu_s", name))

    def course(row: Row) -> str:
        checkpoints = cells.one(row, "stream")["checkpoints"]
        return ", ".join(
            f"{_residual(one['distance']['rbo@20']['residual'])} after {one['after']}"
            for one in checkpoints
        )

    def quality(row: Row) -> str:
        checkpoints = cells.one(row, "stream")["checkpoints"]
        found = [one["utility"]["retained"]["ndcg@10"]["unlearned"]["mean"] for one in checkpoints]
        return ", ".join(f"{value:.4f}" for value in found)

    return table(
        rows,
        [
            ("requests", lambda row: f"{cells.one(row, 'stream')['time']['requests']}"),
            ("CPU p50", figure("p50")),
            ("p95", figure("p95")),
            ("p99", figure("p99")),
            ("residual", course),
            ("NDCG@10 of those who stay", quality),
        ],
    )


def weights(cells: Cells, data: str) -> str:
    """Whether personal data are left in weights, and why."""
    rows = cells.rows(data, scenario=MAIN)
    says = "personal_data_in_weights"
    return table(rows, [("after forgetting", lambda row: str(cells.one(row, MAIN)[says]))])


def leak(cells: Cells, data: str) -> str:
    """CRAGRU's variants: with the history as it must be, and with theirs."""
    rows = [row for row in cells.rows(data, scenario=MAIN) if row.method.startswith("cragru")]
    plain = [
        row
        for row in cells.rows(data, scenario=MAIN)
        if row.method == "retrain" and row.backbone in {one.backbone for one in rows}
    ]

    def metric(group: str, name: str) -> Figure:
        path = ("utility", group, name, "unlearned")
        return lambda row: _with_interval(cells, row, MAIN, *path)

    def probes(row: Row) -> str:
        return _number(cells.mean(row, MAIN, "mia", "memory", "unlearned", "auc"))

    columns = [
        ("HR@10 of those who stay", metric("retained", "hr@10")),
        ("NDCG@10", metric("retained", "ndcg@10")),
        ("NDCG@10 of the forgotten", metric("asked", "ndcg@10")),
        ("AUC memory", probes),
    ]
    return table([*plain, *rows], columns) if rows else _NOT_MEASURED


def residual(cells: Cells, row: Row, scenario: str) -> str:
    """Return a residual, or that it is lost in the noise of other seeds.

    Where retraining itself, measured against retraining, is a tenth off, seeds differ by more
    than the floor, which is that of two of them.
    """
    found = cells.of(row, scenario)
    if not found:
        return "·"
    if found[0].get("reference") == "retrain":
        exact = Row(row.data, (row.rank[0], 0), row.backbone, "retrain")
        if abs(cells.mean(exact, scenario, *RBO, "residual") or 0.0) >= _OFF:
            return _NOISE
    return _residual(cells.mean(row, scenario, *RBO, "residual"))


def _residual(value: float | None) -> str:
    return _NOISE if value is None else f"{value + 0.0:.3f}"


def _batch(cells: Cells, row: Row) -> str:
    return _seconds(cells.mean(row, MAIN, "time", "cpu_s", "p50"))


def _with_interval(cells: Cells, row: Row, scenario: str, *path: str, signed: bool = False) -> str:
    mean, low, high = (cells.mean(row, scenario, *path, end) for end in ("mean", "low", "high"))
    if mean is None or low is None or high is None:
        return "·"
    sign = "+" if signed else ""
    return f"{mean:{sign}.4f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def _number(value: float | None) -> str:
    return "·" if value is None else f"{value:.3f}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "·"
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def _line(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"
