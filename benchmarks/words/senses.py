"""Measure who can tell that a note speaks against something, and what it then keeps out.

    python -m benchmarks.words.senses [--seed 2026]

Over ``senses.tsv``, notes in English and German. Those marked ``held`` were written after the turns
of phrase of ``app.domain.recommendation.sense``, to be told in other ways. ``turns`` are these;
``embedder`` compares a note with one that rejects and one that asks for more, ``model`` is what
``benchmarks.words.likelihoods`` wrote; both at the threshold that is best on the notes not held.
``repelled``: for what has a tag of its own in the demo set, the share of tagged books that a note
against it keeps out, and how many others it keeps out with them.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from app.adapters.embedders.static import StaticEmbedder
from app.domain.recommendation.sense import spoken_against
from app.domain.recommendation.topic import Topic
from app.ports.memory_store import MemoryStore
from app.services.catalogue.current import CurrentCatalogue
from app.services.catalogue.topic_matching import TopicMatcher
from benchmarks.harness import RESULTS, write_result
from benchmarks.words.queries import demo_catalogue, subjects_of

NOTES: Final = Path(__file__).with_name("senses.tsv")
POLES: Final = (
    "I hate it, I do not want any more of it. Ich mag es nicht.",
    "I love it, I want more of it. Ich mag es sehr.",
)
TAGGED: Final = {
    "I hate ghost stories.": "ghosts",
    "War films bore me.": "war",
    "Detective stories annoy me.": "detective",
    "I stopped reading crime novels, they depress me.": "crime",
    "I find poetry dull.": "poetry",
    "I don't like philosophy.": "philosophy",
    "Too much politics for my taste.": "politics",
    "Science fiction is a waste of my time.": "science-fiction",
    "I'd rather not read about slavery.": "slavery",
    "I am done with pirates, no more of them.": "pirates",
    "I detest travel writing.": "travel",
    "I dislike long Russian novels.": "russian",
}
Truths = NDArray[np.bool_]


def told(found: Truths, against: Truths) -> dict[str, float]:
    """Return the shares of dislikes that were noticed, and of praise that was taken for one."""
    return {
        "noticed": round(float(found[against].mean()), 3),
        "mistaken": round(float(found[~against].mean()), 3),
    }


def by_threshold(scores: NDArray[np.float64], against: Truths, held: Truths) -> dict[str, object]:
    """Return the same of both parts, for the threshold that is best on the notes not held."""
    steps = np.unique(scores[~held])
    rights = [float(((scores >= one) == against)[~held].mean()) for one in steps]
    found = scores >= steps[int(np.argmax(rights))]
    return parts(found, against, held)


def parts(found: Truths, against: Truths, held: Truths) -> dict[str, object]:
    """Return the shares of the notes not held, and of those that are."""
    return {
        "known": told(found[~held], against[~held]),
        "held": told(found[held], against[held]),
    }


def repelled() -> dict[str, object]:
    """Return what notes against tagged kinds keep out of the demo's books."""
    catalogue = demo_catalogue()
    books = [one.item for one in catalogue.entries.values()]
    matcher = TopicMatcher(
        embedder=StaticEmbedder(),
        memory=cast("MemoryStore", None),
        catalogue=cast("CurrentCatalogue", None),
    )
    rows = {}
    for note, tag in TAGGED.items():
        tagged = {one.item_id for one in books if tag in subjects_of(one)}
        topic = Topic("", spoken_against(note) or "")
        out = matcher.items_about([topic], books, catalogue=catalogue)
        rows[tag] = {
            "tagged": len(tagged),
            "kept_out": round(len(out & tagged) / len(tagged), 3),
            "others": len(out - tagged),
        }
    return {
        "kinds": rows,
        "kept_out_mean": round(float(np.mean([one["kept_out"] for one in rows.values()])), 3),
        "others_mean": round(float(np.mean([one["others"] for one in rows.values()])), 2),
        "books": len(books),
    }


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=2026)
    seed = parser.parse_args().seed
    with NOTES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    notes = [row["note"] for row in rows]
    against = np.array([row["stance"] == "against" for row in rows])
    held = np.array([bool(row["held"]) for row in rows])
    vectors = StaticEmbedder().embed([*notes, *POLES])
    towards = vectors[:-2] @ (vectors[-2] - vectors[-1])
    turns = np.array([spoken_against(one) is not None for one in notes])
    result: dict[str, object] = {
        "seed": seed,
        "notes": len(rows),
        "held": int(held.sum()),
        "turns": parts(turns, against, held),
        "embedder": by_threshold(towards.astype(np.float64), against, held),
        "repelled": repelled(),
    }
    likelihoods = RESULTS / "likelihoods.json"
    if likelihoods.is_file():
        senses = json.loads(likelihoods.read_text("utf-8"))["senses"]
        result["model"] = {
            form: by_threshold(np.array(scores), against, held) for form, scores in senses.items()
        }
    print(write_result("senses", result))


if __name__ == "__main__":
    main()
