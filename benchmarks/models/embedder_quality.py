"""How well an embedder tells what belongs together, on hand-made texts.

The texts are `embedder_texts.tsv`: 70 rows of a statement as a user would write it, a title about
the *same* thing, a title *near* it, and one about something *other*. They were written for this
project and no parameter of the model was chosen by them.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]
COLUMNS = ("statement", "same", "near", "other")
TEXTS_FILE = Path(__file__).with_name("embedder_texts.tsv")

SANITY = (
    ("I'm not interested in Harry Potter anymore", "Harry Potter and the Sorcerer's Stone (2001)"),
    ("I'm not interested in Harry Potter anymore", "Fantastic Beasts and Where to Find Them"),
    ("I'm not interested in Harry Potter anymore", "Die Hard"),
    ("baking", "A documentary about bread"),
)


@dataclass(frozen=True, slots=True)
class Quality:
    """What one embedder reached; all in [0, 1] but for the cosines in [-1, 1].

    Args:
        mean_cosine: of the statement with its same, near and other title.
        auc: chance that a random statement-same pair scores above a random statement-other pair.
        same_above_near: share of rows where the same title beats the near one.
        near_above_other: share of rows where the near title beats the other one.
        hit_at_10: share of statements with a text of their own row among their 10 nearest of all.
        spearman: rank correlation of the cosines of all pairs with those of the teacher.
        top_10_agreement: mean share of the float model's 10 nearest that are ours too.
        sanity: cosine of each pair of `SANITY`.
    """

    mean_cosine: tuple[float, float, float]
    auc: float
    same_above_near: float
    near_above_other: float
    hit_at_10: float
    spearman: float
    top_10_agreement: float
    sanity: tuple[float, ...]


def texts() -> list[str]:
    """The 280 texts, four a row, in the order of `COLUMNS`."""
    with TEXTS_FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [row[column] for row in rows for column in COLUMNS]


def _nearest(vectors: Vectors, *, k: int = 10) -> NDArray[np.intp]:
    """The (n, k) indices of the nearest others by cosine, best first; ties by index."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1, kind="stable")[:, :k]


def _pair_cosines(vectors: Vectors) -> NDArray[np.float32]:
    """The (rows, 3) cosines of each statement with its same, near and other title."""
    rows = vectors.reshape(-1, len(COLUMNS), vectors.shape[1])
    return np.asarray(np.einsum("rd,rcd->rc", rows[:, 0], rows[:, 1:]))


def _ranks(values: NDArray[np.float32]) -> NDArray[np.intp]:
    return np.argsort(np.argsort(values.ravel(), kind="stable"), kind="stable")


def measure(encode: Encode, *, teacher: Vectors, exact: Vectors) -> Quality:
    """Measure one embedder; ``teacher`` and ``exact`` are what two others gave to `texts()`."""
    vectors = encode(texts())
    cosines = _pair_cosines(vectors)
    same, near, other = cosines.T
    own, theirs = _nearest(vectors), _nearest(exact)
    row_of = np.arange(len(vectors)) // len(COLUMNS)
    statements = np.arange(0, len(vectors), len(COLUMNS))
    hits = (row_of[own[statements]] == row_of[statements][:, None]).any(axis=1)
    agreement = [len(set(a) & set(b)) / len(b) for a, b in zip(own, theirs, strict=True)]
    left, right = (encode([pair[side] for pair in SANITY]) for side in (0, 1))
    return Quality(
        mean_cosine=(float(same.mean()), float(near.mean()), float(other.mean())),
        auc=float((same[:, None] > other[None, :]).mean()),
        same_above_near=float((same > near).mean()),
        near_above_other=float((near > other).mean()),
        hit_at_10=float(hits.mean()),
        spearman=float(np.corrcoef(_ranks(cosines), _ranks(_pair_cosines(teacher)))[0, 1]),
        top_10_agreement=float(np.mean(agreement)),
        sanity=tuple(float(value) for value in (left * right).sum(axis=1)),
    )


def speed(encode: Encode, *, n_texts: int, n_singles: int) -> dict[str, float]:
    """Texts a second in one call of ``n_texts``, and the median ms of a single text."""
    sample = texts()
    many = [sample[i % len(sample)] for i in range(n_texts)]
    encode(many[:10])
    started = time.perf_counter()
    encode(many)
    texts_per_s = n_texts / (time.perf_counter() - started)
    singles_ms = []
    for text in many[:n_singles]:
        started = time.perf_counter()
        encode([text])
        singles_ms.append((time.perf_counter() - started) * 1000)
    return {
        "texts_per_s": round(texts_per_s),
        "single_ms_p50": round(float(np.median(singles_ms)), 4),
    }
