"""Made-up catalogues of many trades, and the bundled one, as items with hidden traits.

A topic is a point in the embedder's space: its name is a word or one of the names listed here,
its vocabulary the words near it. Items get one to three topics, a maker, at times a series, a
year; their texts show some of that and hide the rest. Nothing is taken from any data set.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.models import AttributeValue, Item, ItemId
from benchmarks.models.reader.trades import ATTACKS, LITTLE, P_ATTACK, TRADES, Trade
from benchmarks.models.reader.vocabulary import ROOT
from benchmarks.models.reader.words import Floats, Words

DEMO: Final = ROOT / "app" / "data" / "demo" / "books.ndjson"


@dataclass(frozen=True, slots=True)
class Topic:
    """A name, a direction in the embedder's space, and words that its items like to use."""

    name: str
    vector: Floats
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Traits:
    """What the simulator knows of an item: numbers of topics, maker, series (-1: none), year."""

    topics: tuple[int, ...]
    maker: int
    series: int
    year: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Items with their traits, and the topics' cosines, shape (n_topics, n_topics)."""

    items: list[Item]
    traits: list[Traits]
    likeness: Floats
    topic_words: list[tuple[str, ...]]


class MadeUp:
    """Makes catalogues.

    Args:
        words: the vocabulary.
        held_out: catalogues use the words of one half of a fixed tenth, or of the rest: a
            validation catalogue has topics drawn from words that no training topic is named by.
    """

    def __init__(self, words: Words, *, is_held_out: bool) -> None:
        self._words = words
        self._seeds = [
            word for number, word in enumerate(words.words) if (number % 10 == 0) is is_held_out
        ]

    def topic(self, name: str) -> Topic:
        """Return the topic of a name."""
        vector = self._words.embed([name])[0]
        return Topic(name, vector, tuple(self._words.near(vector, count=60)))

    def catalogue(self, rng: random.Random, *, size: int) -> Catalogue:
        """Return a catalogue of ``size`` items."""
        trade = rng.choice(TRADES)
        n_topics = rng.randint(6, 30)
        n_named = min(len(trade.names), rng.choice((0, n_topics // 2, n_topics)))
        names = rng.sample(trade.names, n_named) + rng.sample(self._seeds, n_topics - n_named)
        topics = [self.topic(name) for name in names]
        vectors = np.stack([one.vector for one in topics])
        maker = _Maker(rng, trade=trade, topics=topics, words=self._words.words)
        made = [maker.item(number) for number in range(size)]
        return Catalogue(
            [item for item, _ in made],
            [traits for _, traits in made],
            vectors @ vectors.T,
            [one.words for one in topics],
        )


class _Maker:
    """Draws the items of one catalogue, in one hand."""

    def __init__(
        self, rng: random.Random, *, trade: Trade, topics: Sequence[Topic], words: Sequence[str]
    ) -> None:
        self._rng, self._trade, self._topics, self._words = rng, trade, topics, words
        self._n_makers = rng.randint(10, 80)
        self._makers = [self._phrase(rng.choices(words, k=2)) for _ in range(self._n_makers)]
        self._home = [rng.randrange(len(topics)) for _ in range(self._n_makers)]
        self._series = [self._phrase(rng.choices(words, k=rng.randint(1, 2))) for _ in range(12)]
        self._common = [1 / (1 + rank) ** rng.uniform(0, 1) for rank in range(len(topics))]
        self._years = rng.choice(((1890, 1999), (1950, 2024), (1500, 1930)))
        self._p_own = rng.uniform(0.15, 0.85)
        self._shows = {name: rng.random() < p for name, p in _SHOWN.items()}
        self._shows["topics"] |= not self._shows["description"]

    def item(self, number: int) -> tuple[Item, Traits]:
        """Return one item and what is true of it."""
        rng = self._rng
        maker = min(int(rng.expovariate(4 / self._n_makers)), self._n_makers - 1)
        first = self._home[maker] if rng.random() < 0.6 else self._draw()
        topics = tuple(dict.fromkeys((first, *(self._draw() for _ in range(rng.randint(0, 2))))))
        series = rng.randrange(len(self._series)) if rng.random() < 0.08 else -1
        year = rng.randint(*self._years)
        traits = Traits(topics, maker, series, year)
        text = self._title(traits)
        return (
            Item(
                ItemId(f"{rng.getrandbits(48):x}-{number}"),
                text,
                description=self._description(topics) if self._shows["description"] else "",
                attributes=self._attributes(traits),
            ),
            traits,
        )

    def _draw(self) -> int:
        return self._rng.choices(range(len(self._topics)), weights=self._common)[0]

    def _phrase(self, words: Sequence[str]) -> str:
        return " ".join(word.capitalize() for word in words)

    def _word(self, topics: Sequence[int]) -> str:
        """Return a word of the item's topics, or any."""
        if self._rng.random() < self._p_own:
            own = self._topics[self._rng.choice(topics)].words
            return own[min(int(self._rng.expovariate(0.08)), len(own) - 1)]
        return self._rng.choice(self._words)

    def _title(self, traits: Traits) -> str:
        rng = self._rng
        words: list[str] = []
        for _ in range(rng.choice((1, 1, 2, 2, 2, 3, 3, 4))):
            if rng.random() < 0.35:
                words.append(rng.choice(LITTLE))
            words.append(self._word(traits.topics))
        title = self._phrase(words)
        if traits.series >= 0:
            title = rng.choice(("{s} {n}", "{s}: {t}", "{t} ({s} #{n})")).format(
                s=self._series[traits.series], t=title, n=rng.randint(1, 9)
            )
        if rng.random() < P_ATTACK:
            attack = rng.choice(ATTACKS).format(label=chr(rng.randint(65, 90)))
            title = rng.choice((attack, f"{title}. {attack}", f"{attack} {title}"))
        return (
            f"{title} ({traits.year})" if self._trade.has_years and self._shows["year"] else title
        )

    def _description(self, topics: Sequence[int]) -> str:
        words = [self._word(topics) for _ in range(self._rng.randint(3, 8))]
        for place in range(1, len(words), 2):
            words[place] = f"{self._rng.choice(LITTLE)} {words[place]}"
        return self._phrase(words[:1]) + " " + " ".join(words[1:]) + "."

    def _attributes(self, traits: Traits) -> dict[str, AttributeValue]:
        facts: dict[str, AttributeValue] = {}
        if self._shows["maker"] and self._trade.maker_as:
            facts[self._trade.maker_as] = self._makers[traits.maker]
        if self._trade.has_years:
            facts["year"] = traits.year
        if self._shows["topics"]:
            names = [self._topics[topic].name for topic in traits.topics]
            facts[self._trade.topics_as] = (
                names if len(names) > 1 or self._rng.random() < 0.5 else names[0]
            )
        if self._shows["topics first"]:
            facts = dict(reversed(facts.items()))
        return facts


_SHOWN: Final = {"description": 0.5, "topics": 0.85, "maker": 0.5, "year": 0.7, "topics first": 0.5}


def demo_catalogue(words: Words) -> Catalogue:
    """Return the bundled books; their subjects are the topics, a subject's words its neighbours."""
    rows = [json.loads(line) for line in DEMO.read_text(encoding="utf-8").splitlines()]
    subjects = sorted({name for row in rows for name in row["attributes"]["subjects"]})
    authors = sorted({row["attributes"]["author"] for row in rows})
    series = sorted({row["attributes"]["series"] for row in rows if "series" in row["attributes"]})
    vectors = words.embed(subjects)
    traits = [
        Traits(
            tuple(subjects.index(name) for name in row["attributes"]["subjects"]),
            authors.index(row["attributes"]["author"]),
            series.index(row["attributes"]["series"]) if "series" in row["attributes"] else -1,
            row["attributes"]["year"],
        )
        for row in rows
    ]
    return Catalogue(
        [
            Item(ItemId(row["item_id"]), row["title"], row["description"], row["attributes"])
            for row in rows
        ],
        traits,
        vectors @ vectors.T,
        [tuple(words.near(vector, count=40)) for vector in vectors],
    )
