"""What each form of the real model is worth in each situation: calibration, written down.

    .venv-bench/bin/python -m benchmarks.llm.regimes --data demo [--people 16] [--seed 2026]
        [--folder FOLDER]

A data set is loaded into a service of its own, ``benchmarks.llm.local`` stands for a vLLM with the
real model, and what ``lethe llm calibrate`` would find is written: by situation and form NDCG@10
without the model, in its order alone, and what the best weight adds, with 95 % intervals by
bootstrap over people; each half of them at the weight that is best for the other half. Labels are
asked for though the model does not pass the check that it reads. Lists have 16 candidates and 100
tokens of memories, all are ranked however long it takes. Queries are every third of
``benchmarks/words/queries.tsv``, for the demo set alone. ``--folder`` keeps what the model answered
and the data set as it was loaded, so that a run that was stopped goes on where it was.

It writes ``benchmarks/results/llm_regimes_<data>.json``.
"""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from app.adapters.llm.likelihood import LikelihoodRanker
from app.adapters.llm.single_pass import SinglePassRanker
from app.bootstrap.llm import prompting_of
from app.bootstrap.recommendation import calibration_of
from app.bootstrap.shared import SharedServices
from app.cli.llm import read_queries
from app.cli.loading import load_dataset
from app.ports.dataset import DatasetKind
from app.ports.ranker import LlmRanking, RankerHealth, RankingForm, RankingTask
from app.settings_llm import LlmSettings
from benchmarks.harness import write_result
from benchmarks.llm.local import local_server
from benchmarks.words.queries import QUERIES
from tests.servers.vllm import REAL, made_model
from tests.world import open_world

SETTINGS: Final = LlmSettings(candidates=16, window=16, memory_tokens=100, must_read=False)
PATIENCE_S: Final = 3_600.0


class Patient:
    """Ranks in the form that is asked for, however long it takes."""

    def __init__(self, folder: Path) -> None:
        server = local_server(made_model(folder, REAL), answers=folder / "answers")
        # Sizes of their own for each list, so that none is shortened for what the last ones took.
        self._single_pass = SinglePassRanker(server, prompting=prompting_of(SETTINGS))
        self._likelihood = LikelihoodRanker(server, prompting=prompting_of(SETTINGS))

    def warm_up(self) -> None:
        """Make both forms ready."""
        self._single_pass.warm_up()
        self._likelihood.warm_up()

    def rank(self, task: RankingTask) -> LlmRanking:
        """Rank."""
        is_likelihood = RankingForm.LIKELIHOOD is task.form or task.query is not None
        form = self._likelihood if is_likelihood else self._single_pass
        return form.rank(replace(task, timeout_s=PATIENCE_S))

    def health(self) -> RankerHealth:
        """Say that it is ready."""
        return RankerHealth("ready", {"closed": 1}, ranks_queries=True)


def main() -> None:
    """Load, measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=["demo", "ml-100k"], required=True)
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    kind = DatasetKind(options.data)
    path = Path(os.environ["LETHE_MOVIELENS_DIR"]) if kind is DatasetKind.ML_100K else None
    queries = read_queries(QUERIES)[::3] if kind is DatasetKind.DEMO else []
    with nullcontext(options.folder) if options.folder else TemporaryDirectory() as kept:
        folder = Path(kept)
        model = Patient(folder)
        model.warm_up()
        with open_world(folder / "world", llm=SETTINGS) as world:
            world.adapters.ranker = model
            if not (folder / "loaded").exists():
                load_dataset(world.container.load.load, kind=kind, path=path)
                (folder / "loaded").touch()
            found = calibration_of(world.adapters, SharedServices.over(world.adapters)).measure(
                people=options.people,
                seed=options.seed,
                queries=queries,
                tell=partial(print, flush=True),
            )
    figures = {f"{one.situation}, {one.form}": asdict(one) | {"pays": one.pays} for one in found}
    payload = {"seed": options.seed, "model": REAL, "people": options.people}
    path = write_result(f"llm_regimes_{options.data}", payload | {"forms": figures})
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
