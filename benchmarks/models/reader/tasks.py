"""Ranking tasks: made-up people with hidden tastes, what they did, and what they would like best.

A taste is a liking or dislike for a few topics, which spreads to topics near them, for makers,
series and a time. The person rates things mostly of their liking; the candidates are what a
retriever that half knows the taste would find. The target is a distribution over candidates by
how well they truly suit, so each task teaches something about every candidate, not only the best.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.models import Item, ItemId, Kind
from app.domain.recommendation.prompt import ShownMemory
from benchmarks.models.reader.catalogues import Catalogue, Traits
from benchmarks.models.reader.trades import LITTLE
from benchmarks.models.reader.words import Floats

SHARPNESS: Final = 2.0
"""Of the target: the softmax of this many standard deviations of suiting."""


@dataclass(frozen=True, slots=True)
class Task:
    """What the reader is shown, and the truth.

    Args:
        memories: most telling first.
        candidates: in any order.
        suits: how well each candidate suits, in standard deviations over the candidates.
        target: a distribution over the candidates.
        seed: of the shuffle in the prompt.
    """

    memories: list[ShownMemory]
    candidates: list[Item]
    suits: Floats
    target: Floats
    seed: int


class Person:
    """A hidden taste over one catalogue."""

    def __init__(self, rng: random.Random, catalogue: Catalogue) -> None:
        self._rng, self._catalogue = rng, catalogue
        n_topics = len(catalogue.likeness)
        liked = rng.sample(range(n_topics), min(n_topics - 1, rng.randint(1, 4)))
        disliked = rng.sample(range(n_topics), rng.randint(0, 2))
        spread = np.maximum(catalogue.likeness - 0.25, 0.0) / 0.75
        weights = np.zeros(n_topics, dtype=np.float32)
        for topic in liked:
            weights += rng.uniform(0.5, 1.5) * spread[topic]
        for topic in set(disliked) - set(liked):
            weights -= rng.uniform(0.5, 1.2) * spread[topic]
        self._weights = weights
        self.liked, self.disliked = liked, [one for one in disliked if one not in liked]
        self._makers = {rng.choice(catalogue.traits).maker for _ in range(rng.randint(0, 2))}
        self._series = {one.series for one in rng.choices(catalogue.traits, k=8) if one.series >= 0}
        self._loves_series = rng.random() < 0.5
        years = [one.year for one in catalogue.traits]
        self._year = rng.choice(years)
        self._year_width = (max(years) - min(years)) / 6 + 1
        self._year_weight = rng.choice((0.0, 0.0, 0.4, 0.8))
        self.suits = np.array([self._suit(one) for one in catalogue.traits], dtype=np.float32)
        self.suits = (self.suits - self.suits.mean()) / (self.suits.std() + 1e-3)

    def _suit(self, traits: Traits) -> float:
        by_topic = [float(self._weights[topic]) for topic in traits.topics]
        total = 0.6 * max(by_topic) + 0.8 * float(np.mean(by_topic)) + 0.4 * min(by_topic)
        total += 0.8 * (traits.maker in self._makers)
        total += 1.0 * (self._loves_series and traits.series in self._series)
        near = np.exp(-(((traits.year - self._year) / self._year_width) ** 2))
        return total + self._year_weight * float(near)

    def history(self, *, count: int) -> list[int]:
        """Return items the person met, mostly of their liking."""
        eager = self._rng.choice((0.0, 0.7, 1.2, 2.0))
        noise = np.array([self._rng.gauss(0, 1) for _ in self.suits])
        return [int(one) for one in np.argsort(-(eager * self.suits + noise))[:count]]

    def memories(self, items: Sequence[int], *, notes: int) -> list[ShownMemory]:
        """Return what is remembered of ``items``, in one of several habits, and some notes."""
        rng = self._rng
        felt = np.array([self.suits[one] + rng.gauss(0, 0.5) for one in items])
        felt = (felt - felt.mean()) / (felt.std() + 1e-3) if rng.random() < 0.5 else felt
        habit = rng.choices(("rates", "likes", "views", "mixed"), weights=(5, 2, 2, 2))[0]
        shown = []
        for place, item in enumerate(items):
            kind = _kind(rng, habit, felt=float(felt[place]))
            strength = float(np.clip(2.0 ** felt[place], 0.25, 4))
            shown.append(
                ShownMemory(
                    kind=kind,
                    item=self._catalogue.items[item],
                    value=3.0 if kind is Kind.RATING else None,
                    strength=strength if kind is Kind.RATING else 1.0,
                    text=self._remark(felt[place] > 0) if rng.random() < 0.04 else None,
                )
            )
        if rng.random() < 0.5:
            shown.sort(key=lambda memory: -memory.strength)
        for _ in range(notes):
            shown.insert(rng.randint(0, len(shown)), ShownMemory(kind=Kind.NOTE, text=self._note()))
        return shown

    def _note(self) -> str:
        is_bad = bool(self.disliked) and self._rng.random() < 0.3
        topic = self._rng.choice(self.disliked if is_bad else self.liked)
        form = self._rng.choice(_BAD_NOTES if is_bad else _GOOD_NOTES)
        words = self._catalogue.topic_words[topic]
        return form.format(*(self._rng.choice(words[:12]) for _ in range(3)))

    def _remark(self, is_good: bool) -> str:  # noqa: FBT001 - private, one call
        return self._rng.choice(_GOOD_REMARKS if is_good else _BAD_REMARKS)


_GOOD_NOTES: Final = (
    "I love {0} and {1}.",
    "Please show me more {0}.",
    "Anything with {0}, {1} or {2} is for me.",
    "I grew up with {0}, so {1} feels like home.",
    "Give me {0} and a lot of {1}.",
    "I am collecting {0}.",
    "I prefer {0} to anything else.",
)
_BAD_NOTES: Final = (
    "I do not like {0}.",
    "No more {0}, please.",
    "I am not interested in {0} or {1} any more.",
    "I hate {0}.",
    "Stop showing me {0}.",
)
_GOOD_REMARKS: Final = ("wonderful", "I would take it again", "great", "my favourite", "so good")
_BAD_REMARKS: Final = ("boring", "a waste of time", "not for me", "poor", "I gave up")


def _kind(rng: random.Random, habit: str, *, felt: float) -> Kind:
    if habit == "mixed":
        habit = rng.choice(("rates", "likes", "views"))
    if habit == "rates":
        return Kind.RATING
    if habit == "likes":
        return Kind.LIKE if felt > -0.3 else Kind.DISLIKE
    return rng.choice((Kind.VIEW, Kind.PURCHASE))


def make_task(
    rng: random.Random, catalogue: Catalogue, *, n_memories: int, n_candidates: int
) -> Task:
    """Return a task with at most so many memories and just so many candidates."""
    person = Person(rng, catalogue)
    history = person.history(count=n_memories)
    notes = rng.choices((0, 1, 2), weights=(8, 2, 1))[0] if n_memories > 1 else 0
    memories = person.memories(history, notes=notes)[:n_memories]
    rest = np.setdiff1d(np.arange(len(catalogue.items)), history)
    knows = rng.choice((0.0, 0.4, 0.8, 1.2))
    noise = np.array([rng.gauss(0, 1) for _ in rest])
    found = rest[np.argsort(-(knows * person.suits[rest] + noise))[:n_candidates]]
    suits = person.suits[found]
    suits = (suits - suits.mean()) / (suits.std() + 0.05)
    weights = np.exp(SHARPNESS * (suits - suits.max()))
    return Task(
        memories,
        [_with_new_id(catalogue.items[one], rng) for one in found],
        suits.astype(np.float32),
        (weights / weights.sum()).astype(np.float32),
        rng.getrandbits(32),
    )


def _with_new_id(item: Item, rng: random.Random) -> Item:
    """Return the item under an id that tells nothing, since ids decide the order shown."""
    return Item(ItemId(f"{rng.getrandbits(64):x}"), item.title, item.description, item.attributes)


def note_words() -> tuple[str, ...]:
    """Return the forms of notes, whose words the reader should know as the frame of a text."""
    return (*_GOOD_NOTES, *_BAD_NOTES, *_GOOD_REMARKS, *_BAD_REMARKS, *LITTLE)
