"""What a model's order is worth: NDCG@10 of the blended list, on a split without leaks.

    python -m benchmarks.llm.quality --data ml-100k [--users 943] [--choose 300]

A vLLM serves the real model; candidates, memories, prompts and blend are the service's own. For
each strategy the list blended at 0.3, at the weight that is best on the validation part, and the
model's order alone are measured on the test part, against the fused order, random order, the
embedder's cosine, and the copy re-ranker (candidates found in the history first: all that a model
could gain by copying, 0 where nothing leaks). Differences to
the fused order are by person, with 95 % intervals by bootstrap.

It writes ``benchmarks/results/llm_quality_<data>.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.adapters.llm.prompts import Prompting
from app.adapters.llm.ranker import Form
from app.adapters.llm.single_pass import SinglePassRanker
from app.bootstrap.llm import prompting_of
from app.domain.models import ItemId
from app.domain.recommendation.fusion import blend
from app.domain.recommendation.memory_selection import Strategy
from app.ports.dataset import DatasetKind
from app.ports.ranker import RankingTask
from app.settings_llm import LlmSettings
from benchmarks.harness import write_result
from benchmarks.llm.people import Case, Part, People, Raw
from benchmarks.llm.served import served_model
from benchmarks.quality.metrics import interval

Floats = NDArray[np.float64]
Scores = Mapping[ItemId, float]

SEED: Final = 2026
AT: Final = 10
N_RANDOM: Final = 20
CLIENTS: Final = 4
TIMEOUT_S: Final = 60.0
WEIGHTS: Final = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
ASKED: Final = tuple(one for one in Strategy if one is not Strategy.NONE)
"""Without memories the service does not ask the model: ``none`` is the fused order."""


def ndcg(ordered: Sequence[ItemId], wanted: frozenset[ItemId]) -> float:
    """Return NDCG@10, the ideal being over min(10, wanted items)."""
    discounts = 1 / np.log2(np.arange(2, AT + 2))
    gained = sum(
        discount for discount, item_id in zip(discounts, ordered, strict=False) if item_id in wanted
    )
    return float(gained / discounts[: len(wanted)].sum())


def ask(ranker: Form, cases: Sequence[Case], strategy: Strategy) -> list[Scores]:
    """Return the model's log-probabilities of each case's candidates."""

    def one(case: Case) -> Scores:
        task = RankingTask(
            memories=case.memories[strategy],
            candidates=case.candidates,
            cache_salt=f"{case.person.number:064x}",
            seed=case.person.number,
            timeout_s=TIMEOUT_S,
        )
        return ranker.rank(task).log_probabilities

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(one, cases))


def by_person(cases: Sequence[Case], order: Callable[[Case], Sequence[ItemId]]) -> Floats:
    """Return NDCG@10 of each case under an order."""
    return np.array([ndcg(order(case), case.person.wanted) for case in cases])


def fused(case: Case) -> list[ItemId]:
    """Return the candidates as the service fused them."""
    return [one.item_id for one in case.candidates]


def copied(case: Case) -> list[ItemId]:
    """Return the candidates with those first that the person has met."""
    return sorted(fused(case), key=lambda item_id: item_id not in case.person.seen)


def by_cosine(case: Case) -> list[ItemId]:
    """Return the candidates by the embedder alone."""
    ids = fused(case)
    return [ids[place] for place in np.argsort(-case.cosine, kind="stable")]


def blended(cases: Sequence[Case], scores: Sequence[Scores], *, weight: float) -> Floats:
    """Return NDCG@10 of each case's blended list."""
    return np.array(
        [
            ndcg(
                [found.item_id for found in blend(fused(case), one, weight=weight)],
                case.person.wanted,
            )
            for case, one in zip(cases, scores, strict=True)
        ]
    )


def baselines(cases: Sequence[Case]) -> dict[str, Floats]:
    """Return NDCG@10 by case of what needs no model."""
    rng = np.random.default_rng(SEED)
    shuffles = [
        by_person(cases, lambda case: [fused(case)[i] for i in rng.permutation(len(fused(case)))])
        for _ in range(N_RANDOM)
    ]
    return {
        "fused": by_person(cases, fused),
        "random": np.mean(shuffles, axis=0),
        "cosine": by_person(cases, by_cosine),
        "copy": by_person(cases, copied),
    }


def told(values: Floats, *, reference: Floats) -> dict[str, object]:
    """Return the mean with its interval, and the difference to the fused order with its own."""
    names = ("mean", "low", "high")
    return {
        "ndcg@10": dict(zip(names, interval(values, seed=SEED), strict=True)),
        "over_fused": dict(zip(names, interval(values - reference, seed=SEED), strict=True)),
    }


def best_weight(ranker: Form, cases: Sequence[Case]) -> tuple[float, dict[str, float]]:
    """Return the weight with the best mean on validation cases; 0 is the fused order."""
    scores = ask(ranker, cases, Strategy.ATTENTION)
    tried = {0.0: float(by_person(cases, fused).mean())}
    for weight in WEIGHTS:
        tried[weight] = float(blended(cases, scores, weight=weight).mean())
    found = max(tried, key=lambda weight: (tried[weight], -weight))
    return found, {str(weight): round(value, 5) for weight, value in tried.items()}


def measure(
    ranker: Form, prompting: Prompting, raw: Raw, *, users: Sequence[int], choose: int
) -> dict[str, object]:
    """Return every figure."""

    def cases(part: Part, strategies: Sequence[Strategy], only: Sequence[int]) -> list[Case]:
        return People(raw, part=part).cases(strategies=strategies, prompting=prompting, only=only)

    chosen, tried = best_weight(ranker, cases("valid", [Strategy.ATTENTION], users[:choose]))
    shown = cases("test", ASKED, users)
    plain = baselines(shown)
    strategies: dict[str, object] = {
        Strategy.NONE: {"blended": told(plain["fused"], reference=plain["fused"])}
    }
    for strategy in ASKED:
        scores = ask(ranker, shown, strategy)
        weights = {"blended": chosen, "at_0.3": 0.3, "model_alone": 1.0}
        strategies[strategy] = {
            name: told(blended(shown, scores, weight=weight), reference=plain["fused"])
            for name, weight in weights.items()
        } | {"memories_shown": float(np.mean([len(one.memories[strategy]) for one in shown]))}
        print(strategy, strategies[strategy], flush=True)
    return {
        "persons": len(shown),
        "persons_for_the_weight": choose,
        "candidates_that_are_wanted": float(
            np.mean([len(one.person.wanted & set(fused(one))) for one in shown])
        ),
        "weight": {"best_on_validation": chosen, "tried": tried},
        "baselines": {
            name: told(values, reference=plain["fused"]) for name, values in plain.items()
        },
        "strategies": strategies,
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=["ml-100k", "demo"], required=True)
    parser.add_argument("--users", type=int, default=10**9, help="at most so many, at random")
    parser.add_argument("--choose", type=int, default=300, help="persons that choose the weight")
    options = parser.parse_args()
    raw = Raw.read(DatasetKind(options.data))
    order = np.random.default_rng(SEED).permutation(len(raw.interactions)).tolist()
    prompting = prompting_of(LlmSettings())
    with served_model() as llm:
        ranker = SinglePassRanker(llm, prompting=prompting)
        ranker.warm_up()
        figures = measure(
            ranker, prompting, raw, users=order[: options.users], choose=options.choose
        )
    path = write_result(
        f"llm_quality_{options.data}",
        figures | {"seed": SEED, "prompt": prompting.template.template_id, "data": options.data},
    )
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
