"""Measure what is found to be about a topic: by words, by meaning, and with a language model.

    python -m benchmarks.words.topics [--seed 2026]

Over the 92 pairs of ``topics.tsv``, written for this project from facts that are known to
everybody, with who wrote or invented each; the catalogue is their items and the demo's books.
``served`` is what the service finds, ``without_meaning`` counts what it takes for topics such as
"the" or "3f9a1c7be2", which should be nothing but items that bear the identifier. With
``--likelihoods``, what ``benchmarks.words.likelihoods`` wrote with a model, ``model`` is how well
log P(item | topic) - log P(item) tells pairs apart (AUC), and what it does where the meaning is
unsure, chosen on one half of the topics and measured on the other.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from app.adapters.embedders.static import StaticEmbedder
from app.domain.models import Item, ItemId
from app.domain.recommendation.topic import Topic, has_meaning, mentions, words_about
from app.ports.memory_store import MemoryStore
from app.services.catalogue.current import CurrentCatalogue
from app.services.catalogue.topic_matching import TopicMatcher
from benchmarks.harness import RESULTS, write_result
from benchmarks.words.queries import catalogue_of, demo_catalogue

PAIRS: Final = Path(__file__).with_name("topics.tsv")
UNSURE: Final = 0.25
"""Cosine from which on a pair is not plainly apart."""
Truths = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pair:
    """A topic, an item, and whether a person says that the item is about the topic."""

    topic: str
    item: Item
    is_about: bool


def pairs() -> list[Pair]:
    """Return the labelled pairs."""
    with PAIRS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    items = {
        (row["title"], row["text"]): Item(
            ItemId(f"pair-{n}"),
            row["title"],
            row["text"],
            {"author": row["author"]} if row["author"] else {},
        )
        for n, row in enumerate(rows)
    }
    return [
        Pair(row["topic"], items[row["title"], row["text"]], row["about"] == "yes") for row in rows
    ]


def rates(found: Truths, wanted: Truths) -> dict[str, float]:
    """Return precision and recall."""
    hits = int((found & wanted).sum())
    return {
        "precision": round(hits / max(int(found.sum()), 1), 3),
        "recall": round(hits / int(wanted.sum()), 3),
    }


def auc(scores: Floats, wanted: Truths) -> float:
    """Return the chance that a pair that belongs together scores above one that does not."""
    above = scores[wanted][:, None] - scores[~wanted]
    return round(float((above > 0).mean() + (above == 0).mean() / 2), 3)


def with_model(
    scores: Floats, *, topics: list[str], sure: Truths, cosines: Floats, wanted: Truths
) -> dict[str, object]:
    """Return what a model adds where the meaning is unsure, its threshold from other topics."""
    names = sorted(set(topics))
    first = np.array([names.index(one) % 2 == 0 for one in topics])
    taken = sure.copy()
    is_unsure = ~sure & (cosines >= UNSURE)
    for half in (first, ~first):
        steps = np.unique(scores[~half & is_unsure])
        best = max(steps, key=lambda one: _f1(sure | (is_unsure & (scores >= one)), wanted, ~half))
        taken |= half & is_unsure & (scores >= best)
    return {"auc": auc(scores, wanted), "where_unsure": rates(taken, wanted)}


def _f1(found: Truths, wanted: Truths, among: Truths) -> float:
    hits = int((found & wanted & among).sum())
    return 2 * hits / int((found & among).sum() + (wanted & among).sum())


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    told = pairs()
    embedder, demo = StaticEmbedder(), demo_catalogue()
    items = {one.item.item_id: one.item for one in told}
    items |= {one.item.item_id: one.item for one in demo.entries.values()}
    catalogue = catalogue_of(list(items.values()))
    nobody = cast("MemoryStore", None)
    nothing = cast("CurrentCatalogue", None)
    matcher = TopicMatcher(embedder=embedder, memory=nobody, catalogue=nothing)
    served = np.array(
        [
            bool(matcher.items_about([Topic("", one.topic)], [one.item], catalogue=catalogue))
            for one in told
        ]
    )
    wanted = np.array([one.is_about for one in told])
    words = np.array([mentions(words_about(one.item), topic=one.topic) for one in told])
    vectors = catalogue.vectors.of([one.item.item_id for one in told])
    topics = embedder.embed([one.topic for one in told])
    cosines = np.array(
        [float(vectors[one.item.item_id] @ v) for one, v in zip(told, topics, strict=True)]
    )
    empty = np.array([not has_meaning(one.topic) for one in told])
    result: dict[str, object] = {
        "seed": options.seed,
        "pairs": len(told),
        "about": int(wanted.sum()),
        "words": rates(words, wanted),
        "embedder": {
            "auc": auc(cosines, wanted),
            **{str(least): rates(cosines >= least, wanted) for least in (0.3, 0.4, 0.5)},
        },
        "served": rates(served, wanted),
        "without_meaning": {
            "pairs": int(empty.sum()),
            "taken": int((served & empty).sum()),
            "wrong": int((served & empty & ~wanted).sum()),
        },
        "missed": [f"{p.topic}: {p.item.title}" for p, s in zip(told, served, strict=True)
                   if p.is_about and not s],
    }  # fmt: skip
    likelihoods = RESULTS / "likelihoods.json"
    if likelihoods.is_file():
        scores = json.loads(likelihoods.read_text("utf-8"))["topics"]
        result["model"] = {
            form: with_model(
                np.array(values),
                topics=[one.topic for one in told],
                sure=served,
                cosines=cosines,
                wanted=wanted,
            )
            for form, values in scores.items()
        }
    print(write_result("topics", result))


if __name__ == "__main__":
    main()
