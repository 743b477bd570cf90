"""The words of the catalogue: which items hold those of a text, and how much that says."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.models import ItemId
from app.domain.recommendation.filter import CatalogueEntry
from app.domain.recommendation.topic import telling_words, words_about, words_of

_SATURATION: Final = 1.2
_LENGTH: Final = 0.75
"""The usual k1 and b of BM25."""

Posting = tuple[NDArray[np.int32], NDArray[np.float32]]
_NOTHING: Final[Posting] = (np.zeros(0, np.int32), np.zeros(0, np.float32))


@dataclass(frozen=True)
class Lexicon:
    """Which rows hold which words. Never changes; a word that no item has is in it nowhere.

    Args:
        postings: by word, the rows that have it, and how often.
        lengths: words of each row, shape (n_rows,); 0 for a row that says nothing.
    """

    postings: Mapping[str, Posting] = field(default_factory=dict)
    lengths: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))

    def after(self, told: Iterable[tuple[int, str, str]], *, n_rows: int) -> Lexicon:
        """Return a later one, in time that grows with what has changed.

        Args:
            told: rows, with what each said until now and what it says from now on.
            n_rows: how many there are then.
        """
        lengths = np.zeros(n_rows, dtype=np.float32)
        lengths[: len(self.lengths)] = self.lengths
        gone: defaultdict[str, list[int]] = defaultdict(list)
        new: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for row, before, now in told:
            for word in set(words_of(before)):
                gone[word].append(row)
            counts = Counter(words_of(now))
            lengths[row] = counts.total()
            for word, count in counts.items():
                rows, counted = new[word]
                rows.append(row)
                counted.append(count)
        postings = dict(self.postings)
        for word in gone.keys() | new.keys():
            had, often = postings.pop(word, _NOTHING)
            kept = ~np.isin(had, gone.get(word, []))
            rows, counted = new.get(word, ([], []))
            if rows or kept.any():
                postings[word] = (
                    np.concatenate([had[kept], np.array(rows, dtype=np.int32)]),
                    np.concatenate([often[kept], np.array(counted, dtype=np.float32)]),
                )
        return Lexicon(postings, lengths)

    def moved(self, to: NDArray[np.int32], *, n_rows: int) -> Lexicon:
        """Return the same with other numbers of rows, ``to`` by the old one; -1 for none."""
        lengths = np.zeros(n_rows, dtype=np.float32)
        lengths[to[to >= 0]] = self.lengths[to >= 0]
        return Lexicon(
            {word: (to[rows], counts) for word, (rows, counts) in self.postings.items()}, lengths
        )

    def scores(self, text: str) -> NDArray[np.float32]:
        """Return how much of a text's telling words each row has, shape (n_rows,); 0 for none.

        Source: BM25, Robertson and Zaragoza, 2009. A function of the catalogue and the text alone:
        words are added in one order.
        """
        found = np.zeros(len(self.lengths))
        n_items = int(np.count_nonzero(self.lengths))
        usual = float(self.lengths.sum(dtype=np.float64)) / max(n_items, 1)
        for word in sorted(telling_words(text)):
            if word not in self.postings:
                continue
            rows, counts = self.postings[word]
            rarity = math.log1p((n_items - len(rows) + 0.5) / (len(rows) + 0.5))
            length = 1 - _LENGTH + _LENGTH * self.lengths[rows].astype(np.float64) / usual
            found[rows] += rarity * counts * (1 + _SATURATION) / (counts + _SATURATION * length)
        return found.astype(np.float32)


def words_in(entries: Mapping[ItemId, CatalogueEntry], item_id: ItemId) -> str:
    """Return what a catalogue says of an item; nothing of one that it does not have."""
    found = entries.get(item_id)
    return "" if found is None or found.item.is_stub else words_about(found.item)
