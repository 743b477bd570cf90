"""What EASE on the head of a catalogue is worth, with neighbours for the tail.

Real sets have fewer items than the limit from which a catalogue has a head, so the limit is
lowered: the most common tenth, quarter and half of the items are the head. The service's own
neighbours answer, before any forgetting, on the split of ``benchmarks.quality.run``.
``python -m benchmarks.quality.head`` writes ``benchmarks/results/quality_head.json``: for each
data set and share NDCG@10 of neighbours alone, of head and tail, and of EASE of the whole, with
what head and tail gain over neighbours, user by user.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Final

from app.adapters.neighbours import ExactNeighbours
from benchmarks.data import SEED, load, split
from benchmarks.harness import write_result
from benchmarks.quality import models
from benchmarks.quality.metrics import Floats, interval, summary
from benchmarks.quality.run import Protocol

SHARES: Final = (0.1, 0.25, 0.5)
_NAMES: Final = ("mean", "low", "high")


def measure(name: str) -> dict[str, object]:
    """Return the figures of one data set."""
    dataset = load(name)
    parts = split(dataset.histories)
    protocol = Protocol(dataset, parts, gone=parts.train[0][:0])
    histories = models.named(parts.train)

    def tested(neighbours: ExactNeighbours) -> dict[str, Floats]:
        neighbours.build(histories.items())
        answers = partial(models.service, neighbours, never=parts.valid, n_items=dataset.n_items)
        return protocol.test(answers(train=parts.train))

    alone = tested(models.as_served(dense_limit=0))
    figures: dict[str, object] = {
        "neighbours_alone": summary(alone, seed=SEED),
        "ease_of_the_whole": summary(tested(models.as_served()), seed=SEED),
    }
    for share in SHARES:
        size = int(share * dataset.n_items)
        started_s = time.process_time()
        found = tested(models.as_served(dense_limit=0, head_limit=size))
        lead = interval(found["ndcg@10"] - alone["ndcg@10"], seed=SEED)
        figures[f"head_of_{share:g}"] = {
            "items": size,
            "models": summary(found, seed=SEED),
            "ndcg@10_over_neighbours": dict(zip(_NAMES, lead, strict=True)),
            "cpu_s": round(time.process_time() - started_s, 1),
        }
        print(name, share, figures[f"head_of_{share:g}"], flush=True)
    return figures


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", default=["ml-100k", "ml-1m"])
    options = parser.parse_args()
    payload = {"seed": SEED, "sets": {name: measure(name) for name in options.data}}
    print(write_result("quality_head", payload))


if __name__ == "__main__":
    main()
