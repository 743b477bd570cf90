"""What was tried to rank better than EASE, with what came of it.

Every idea is a pure function of the interactions and of facts about items, so it could be
forgotten exactly. Its strength is chosen by NDCG@10 on the validation part, and the test part
says what it is worth against EASE, user by user. An idea is kept if its interval is clear of
zero on two data sets. ``python -m benchmarks.quality.beyond`` writes
``benchmarks/results/quality_beyond.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np

from app.adapters.embedders.static import StaticEmbedder
from app.adapters.neighbours.weighing import UNIT, Weighing
from benchmarks.data import SEED, Dataset, Ints, Split, load, split
from benchmarks.harness import write_result
from benchmarks.quality import models
from benchmarks.quality.metrics import Floats, evaluate, interval

LAMBDA: Final = 600.0
_FEATURE_WEIGHT: Final = 3.0


class Setting:
    """A data set's training part and EASE on it."""

    def __init__(self, dataset: Dataset, parts: Split) -> None:
        self.dataset, self.parts = dataset, parts
        self.x = models.matrix(parts.train, n_items=dataset.n_items).astype(np.float64)
        self.gram = self.x.T @ self.x
        self.degrees = np.maximum(self.gram.diagonal(), 1)
        self.lengths = np.maximum(self.x.sum(axis=1), 1)
        self.weights = ease_weights(self.gram)
        self.ease = self.x @ self.weights

    def by_user(self, scores: Floats, *, part: str) -> Floats:
        """Return NDCG@10 of every user on ``valid`` or ``test``."""
        parts = self.parts
        seen = [parts.train] if part == "valid" else [parts.train, parts.valid]
        wanted = parts.valid if part == "valid" else parts.test
        users = np.arange(len(parts.train))
        found = evaluate(partial(np.take, scores, axis=0), users=users, seen=seen, wanted=wanted)
        return found["ndcg@10"]


Idea = Callable[[Setting, float], Floats]


def ease_weights(gram: Floats, regularisation: float | Floats = LAMBDA) -> Floats:
    """Return EASE's B; ``regularisation`` may differ by item."""
    inverse = np.linalg.inv(gram + np.eye(len(gram)) * regularisation)
    weights: Floats = -inverse / inverse.diagonal()
    np.fill_diagonal(weights, 0)
    return weights


def standard(scores: Floats) -> Floats:
    """Return every user's scores with mean 0 and deviation 1, so that two rankers can be added."""
    centred: Floats = scores - scores.mean(axis=1, keepdims=True)
    centred /= centred.std(axis=1, keepdims=True) + 1e-12
    return centred


def rare_history_counts_more(at: Setting, power: float) -> Floats:
    """Weigh a history item by its degree to a negative power."""
    return (at.x * at.degrees**-power) @ at.weights


def popular_target_counts_less(at: Setting, power: float) -> Floats:
    """Divide a score by the item's degree to a power."""
    return at.ease * at.degrees**-power


def regularised_by_popularity(at: Setting, power: float) -> Floats:
    """Let lambda grow with the degree."""
    scale = (at.degrees / np.average(at.degrees, weights=at.degrees)) ** power
    return at.x @ ease_weights(at.gram, LAMBDA * scale)


def long_users_count_less(at: Setting, power: float) -> Floats:
    """Weigh a user's pairs by the number of items to a negative power."""
    weights = (at.lengths / at.lengths.mean()) ** -power
    return at.x @ ease_weights((at.x * weights[:, None]).T @ at.x)


def graded(at: Setting, regularisation: float) -> Floats:
    """Weigh users by length and items by popularity in whole numbers, as the service does."""
    weighing = Weighing(regularisation=regularisation, is_graded=True)
    weights = np.array([weighing.of_user(length) for length in at.lengths.astype(int).tolist()])
    degrees = at.x.sum(axis=0).astype(np.int64)
    gram = (at.x * (weights / UNIT)[:, None]).T @ at.x
    return at.x @ ease_weights(gram, weighing.ridge(degrees))


def with_user_knn(at: Setting, share: float) -> Floats:
    """Add the user-kNN that the service already has."""
    everybody = np.arange(len(at.x))
    scorer = models.user_knn(at.x.astype(np.float32), n_neighbours=100, length_penalty=0.6)
    other = np.concatenate([scorer(part) for part in np.array_split(everybody, 16)])
    return standard(at.ease) + share * standard(other)


def with_item_knn(at: Setting, share: float) -> Floats:
    """Add item-kNN."""
    scorer = models.item_knn(at.x.astype(np.float32), n_neighbours=100, alpha=0.6, shrink=20.0)
    return standard(at.ease) + share * standard(np.asarray(scorer(np.arange(len(at.x)))))


def with_low_rank(at: Setting, share: float) -> Floats:
    """Add the projection on the 64 strongest directions of the normalised Gram matrix."""
    scale = 1 / np.sqrt(at.degrees)
    _, vectors = np.linalg.eigh(at.gram * np.outer(scale, scale))
    strongest = vectors[:, -64:]
    other = (at.x * scale) @ strongest @ strongest.T / scale
    return standard(at.ease) + share * standard(other)


def with_length_feature(at: Setting, weight: float) -> Floats:
    """Tell EASE in which of six classes the length of the history is."""
    classes = np.clip(np.log2(at.lengths).astype(np.int64) - 3, 0, 5)
    wide = np.hstack([at.x, weight * np.eye(6)[classes]])
    return (wide @ ease_weights(wide.T @ wide))[:, : at.x.shape[1]]


def with_genres(at: Setting, weight: float) -> Floats:
    """Add alpha F F' to the Gram matrix, F the genres."""
    if at.dataset.traits is None:
        raise ValueError(at.dataset.name)
    return at.x @ ease_weights(at.gram + weight * at.dataset.traits @ at.dataset.traits.T)


def with_titles(at: Setting, weight: float) -> Floats:
    """Add alpha F F' to the Gram matrix, F the embedded titles."""
    vectors = StaticEmbedder().embed(at.dataset.titles or []).astype(np.float64)
    return at.x @ ease_weights(at.gram + weight * vectors @ vectors.T)


def with_ratings(at: Setting, factor: float) -> Floats:
    """Count a rating of 3 or more ``factor`` times in the Gram matrix and in the history."""
    rated = np.zeros_like(at.x)
    for user, row in enumerate(at.dataset.histories):
        rated[user, row] = (at.dataset.ratings or [])[user]
    weighted = at.x * np.where(rated >= 3, factor, 1.0)
    return weighted @ ease_weights(weighted.T @ weighted, LAMBDA * factor)


PAIRS: Final[dict[str, tuple[Idea, Sequence[float]]]] = {
    "rare history items count more": (rare_history_counts_more, (0.1, 0.15, 0.3)),
    "popular targets count less": (popular_target_counts_less, (0.05, 0.1)),
    "lambda grows with popularity": (regularised_by_popularity, (0.3, 0.5, 0.7)),
    "users with long histories count less": (long_users_count_less, (0.25, 0.5)),
    "users by length and items by popularity, in whole numbers": (graded, (20.0, 30.0, 40.0)),
    "plus user-kNN": (with_user_knn, (0.1, 0.2, 0.4)),
    "plus item-kNN": (with_item_knn, (0.1, 0.3, 0.6)),
    "plus low-rank projection": (with_low_rank, (0.1, 0.3)),
    "length of the history as a feature": (with_length_feature, (1.0, _FEATURE_WEIGHT)),
}
FACTS: Final[dict[str, tuple[Idea, Sequence[float]]]] = {
    "genres in the Gram matrix": (with_genres, (1.0, 5.0, 20.0)),
    "embedded titles in the Gram matrix": (with_titles, (5.0, 20.0, 80.0)),
    "ratings as weights": (with_ratings, (1.5, 2.0)),
}


def try_idea(at: Setting, idea: Idea, *, strengths: Sequence[float]) -> dict[str, object]:
    """Choose the strength on the validation part; compare with EASE on the test part."""
    scored = [(partial(idea, at, strength)(), strength) for strength in strengths]
    valid = [float(np.nanmean(at.by_user(scores, part="valid"))) for scores, _ in scored]
    scores, strength = scored[int(np.argmax(valid))]
    gain = at.by_user(scores, part="test") - at.by_user(at.ease, part="test")
    mean, low, high = interval(gain, seed=SEED)
    return {
        "strength": strength,
        "valid_gain": max(valid) - float(np.nanmean(at.by_user(at.ease, part="valid"))),
        "test_gain": {"mean": mean, "low": low, "high": high},
        "clear_of_zero": low > 0,
    }


def recency() -> dict[str, object]:
    """ML-100K split by time: weigh the history by age, half as much after ``strength`` items."""
    dataset = load("ml-100k")
    parts, ages = _by_time(dataset)
    at = Setting(dataset, parts)

    def fading(here: Setting, half_life: float) -> Floats:
        scores: Floats = (here.x * 0.5 ** (ages / half_life)) @ here.weights
        return scores

    return try_idea(at, fading, strengths=(10.0, 20.0, 40.0, 80.0))


def _by_time(dataset: Dataset) -> tuple[Split, Floats]:
    """Return each user's last tenth as test, the tenth before as validation; and ages."""
    parts = Split([], [], [])
    ages = np.zeros((len(dataset.histories), dataset.n_items))
    for user, history in enumerate(dataset.histories):
        times: Ints = (dataset.times or [])[user]
        ordered = history[np.argsort(times, kind="stable")]
        tenth = len(history) // 10
        keep = len(history) - 2 * tenth
        parts.train.append(np.sort(ordered[:keep]))
        parts.valid.append(np.sort(ordered[keep : keep + tenth]))
        parts.test.append(np.sort(ordered[keep + tenth :]))
        ages[user, ordered[:keep]] = np.arange(keep)[::-1]
    return parts, ages


def main() -> None:
    """Try everything on the data sets named, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", default=["ml-100k", "ml-1m"])
    options = parser.parse_args()
    found: dict[str, object] = {}
    for name in options.data:
        dataset = load(name)
        at = Setting(dataset, split(dataset.histories))
        rows: dict[str, object] = {}
        for title, (idea, strengths) in (PAIRS | (FACTS if dataset.ratings else {})).items():
            rows[title] = try_idea(at, idea, strengths=strengths)
            print(name, title, rows[title], flush=True)
        found[name] = rows
    found["ml-100k by time"] = {"older history items count less": recency()}
    print(found["ml-100k by time"])
    write_result("quality_beyond", {"seed": SEED, "lambda": LAMBDA, "against_ease": found})


if __name__ == "__main__":
    main()
