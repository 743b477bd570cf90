"""How fast ``lethe load`` is, beside another checkout, in one run.

Each load is a process of its own into an empty directory, the checkouts in turns. Start and
catalogue are part of it, as they are of the command. ``python -m benchmarks.serving.loading
--before TREE`` loads MovieLens 100K by this checkout and by another one; ``--ml-1m`` then loads
MovieLens 1M by this one alone, whose lists get the times that their order says.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.data import SEED, load
from benchmarks.harness import write_result
from benchmarks.serving.fill import BEGUN

_HERE: Final = Path(__file__).parents[2]
_COMMAND: Final = "from app.cli import main; main()"


def _loaded(tree: Path, kind: str, source: Path, *, n: int) -> dict[str, float]:
    """Load a data set into an empty directory by the code of a checkout."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LETHE_")}
    environment |= {"PYTHONPATH": str(tree), "MALLOC_PERTURB_": "165", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _COMMAND, "load", kind, str(source), "--data-dir", folder]
        load_average, begun = os.getloadavg()[0], time.perf_counter()
        process = subprocess.Popen(
            command, cwd=tree, env=environment, stderr=subprocess.PIPE, text=True
        )
        told = process.stderr.read() if process.stderr else ""
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        if status or f"{n} interactions accepted" not in " ".join(told.split()):
            raise RuntimeError(told[-2_000:])
    cpu_s = used.ru_utime + used.ru_stime
    return {
        "seconds": round(seconds, ndigits=1),
        "per_s": round(n / seconds, ndigits=1),
        "cpu_s": round(cpu_s, ndigits=1),
        "peak_mib": round(used.ru_maxrss / 1024, ndigits=1),
        "load_average": round(load_average, ndigits=1),
    }


def _as_files(folder: Path) -> int:
    """Write MovieLens 1M as GroupLens' two files; return how many ratings."""
    dataset = load("ml-1m")
    films = "".join(f"{one}::Film {one}::Drama\n" for one in dataset.item_ids)
    (folder / "movies.dat").write_text(films, encoding="utf-8")
    begun = int(BEGUN.timestamp())
    with (folder / "ratings.dat").open("w", encoding="utf-8") as file:
        for user, row in enumerate(dataset.histories):
            file.writelines(
                f"{user}::{dataset.item_ids[item]}::4::{begun + 60 * at}\n"
                for at, item in enumerate(row.tolist())
            )
    return sum(len(row) for row in dataset.histories)


def _over(rates: Mapping[str, Sequence[Mapping[str, float]]], figure: str) -> float:
    now, before = (
        statistics.median(one[figure] for one in rates[name]) for name in ("now", "before")
    )
    return round(now / before, ndigits=3)


def main() -> None:
    """Load, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="another checkout")
    parser.add_argument("--named", required=True, help="its commit")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ml-1m", action="store_true")
    options = parser.parse_args()
    source = Path(os.environ["LETHE_MOVIELENS_DIR"])
    n = sum(1 for _ in (source / "u.data").open("rb"))
    rounds: dict[str, list[dict[str, float]]] = {"before": [], "now": []}
    for _ in range(options.rounds):
        for name, tree in (("before", options.before.absolute()), ("now", _HERE)):
            rounds[name].append(_loaded(tree, "ml-100k", source, n=n))
            print(name, rounds[name][-1], flush=True)
    found: dict[str, object] = {
        "seed": SEED,
        "before": options.named,
        "ml-100k": rounds,
        "per_s_over_before": _over(rounds, "per_s"),
        "cpu_over_before": _over(rounds, "cpu_s"),
    }
    if options.ml_1m:
        with tempfile.TemporaryDirectory() as folder:
            n = _as_files(Path(folder))
            found["ml-1m"] = {"n": n, **_loaded(_HERE, "movielens", Path(folder), n=n)}
            print(found["ml-1m"], flush=True)
    print(write_result("loading", found))


if __name__ == "__main__":
    main()
