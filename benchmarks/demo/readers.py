"""Simulated readers of the demo catalogue: nobody's data, with tastes that can be checked.

All chance comes from ``random.Random(...).random()``, whose sequence Python promises to keep
for a given seed, so that every machine and every version makes the same readers.
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final, TypeVar

from app.domain.models import Item, ItemId, Kind, ReportedInteraction

T = TypeVar("T")

N_READERS: Final = 600
DEFAULT_SEED: Final = 2026
FIRST_DAY: Final = datetime(2024, 1, 1, tzinfo=UTC)
_N_SECONDS: Final = (datetime(2026, 1, 1, tzinfo=UTC) - FIRST_DAY) // timedelta(seconds=1)

GROUPS: Final = (
    *("detective", "gothic", "fantasy", "children", "adventure", "sea", "science-fiction"),
    *("natural-science", "travel", "history", "memoir", "essays", "philosophy", "ancient"),
    *("drama", "poetry", "modernism", "french", "russian", "social-realism", "romance"),
    *("american", "humour"),
)
"""The taste groups, on a circle: who likes one is likelier to like its neighbours too."""

# Chosen so that a reader has 28 ratings on average, four of five of them inside the own tastes.
_FEWEST_RATINGS: Final = 15
_MOST_RATINGS: Final = 60
_P_INSIDE: Final = 0.8
_P_NEIGHBOUR: Final = 0.5
_FAVOURITE_AUTHOR_FACTOR: Final = 6.0
_NOTE_EVERY: Final = 10  # readers, of whom one writes notes


@dataclass(frozen=True, slots=True)
class Reader:
    """A simulated reader.

    Args:
        name: such as ``reader-001``.
        tastes: 1 to 3 groups, the strongest first.
        author: whose books this reader seeks out.
        generosity: added to each rating before rounding, -0.4 to 0.4.
    """

    name: str
    tastes: tuple[str, ...]
    author: str
    generosity: float


@dataclass(frozen=True, slots=True)
class Shelf:
    """The catalogue as the simulation sees it.

    Args:
        books: in catalogue order.
        groups: the taste group of each book.
        popularity: item id to weight, above 0.
        notes: group to sentences.
    """

    books: Sequence[Item]
    groups: Sequence[str]
    popularity: Mapping[str, float]
    notes: Mapping[str, Sequence[str]]

    @classmethod
    def of(
        cls, books: Sequence[Item], *, well_known: Sequence[str], notes: Mapping[str, Sequence[str]]
    ) -> Shelf:
        """Give the book of rank r the weight 1 / (r + 8): well-known ones first, the rest mixed."""
        rng = _chance("popularity")
        rest = sorted((rng.random(), str(book.item_id)) for book in books)
        known = set(well_known)
        order = [*well_known, *(item_id for _, item_id in rest if item_id not in known)]
        weights = {item_id: 1 / (rank + 8) for rank, item_id in enumerate(order)}
        return cls(
            books=books, groups=[group_of(one) for one in books], popularity=weights, notes=notes
        )


def group_of(book: Item) -> str:
    """Return the taste group of a book: the first of its subjects."""
    return _subjects(book)[0]


def author_of(book: Item) -> str:
    """Return the author of a book."""
    return str(book.attributes["author"])


def _subjects(book: Item) -> Sequence[str]:
    subjects = book.attributes["subjects"]
    return [] if isinstance(subjects, str | int | float) else [str(one) for one in subjects]


def make_reader(number: int, *, shelf: Shelf, seed: int = DEFAULT_SEED) -> Reader:
    """Return reader ``number``, 1 to N_READERS; the first taste goes round the groups."""
    rng = _chance(f"{seed}:reader:{number}")
    first = (number - 1) % len(GROUPS)
    tastes = [GROUPS[first]]
    for _ in range(_below(rng, 3)):
        is_near = rng.random() < _P_NEIGHBOUR
        step = (1 if rng.random() < 1 / 2 else -1) if is_near else _below(rng, len(GROUPS))
        tastes.append(GROUPS[(first + step) % len(GROUPS)])
    authors = Counter(
        author_of(book)
        for book, group in zip(shelf.books, shelf.groups, strict=True)
        if group in tastes
    )
    authors.pop("Unknown", None)
    return Reader(
        name=f"reader-{number:03}",
        tastes=tuple(dict.fromkeys(tastes)),
        author=_pick(rng, list(authors), ends=list(itertools.accumulate(authors.values()))),
        generosity=0.8 * rng.random() - 0.4,
    )


@dataclass(frozen=True, slots=True)
class _Act:
    kind: Kind
    key: str  # what sets the act apart from the reader's others of its kind
    item_id: ItemId | None = None
    value: float | None = None
    text: str | None = None


def simulate(shelf: Shelf, *, seed: int = DEFAULT_SEED) -> Iterator[ReportedInteraction]:
    """Yield what all readers did in 2024 and 2025, reader after reader, each in order of time."""
    for number in range(1, N_READERS + 1):
        reader = make_reader(number, shelf=shelf, seed=seed)
        rng = _chance(f"{seed}:history:{number}")
        acts = [*_opinions(reader, shelf=shelf, rng=rng)]
        if number % _NOTE_EVERY == 1:
            acts += _notes(reader, shelf=shelf, rng=rng)
        timed = sorted((_below(rng, _N_SECONDS), rank) for rank in range(len(acts)))
        for second, rank in timed:
            act = acts[rank]
            yield ReportedInteraction(
                event_id=f"demo:{reader.name}:{act.kind}:{act.key}",
                user=reader.name,
                kind=act.kind,
                occurred_at=FIRST_DAY + timedelta(seconds=second),
                item_id=act.item_id,
                value=act.value,
                text=act.text,
            )


def _opinions(reader: Reader, *, shelf: Shelf, rng: Random) -> Iterator[_Act]:
    """Yield 15 to 60 ratings, then up to 3 likes and 2 dislikes, each of another book."""
    inside: list[Item] = []
    outside: list[Item] = []
    for book, group in zip(shelf.books, shelf.groups, strict=True):
        (inside if group in reader.tastes else outside).append(book)
    spread = _MOST_RATINGS - _FEWEST_RATINGS + 1
    # The product makes long histories rarer than short ones, as they are among real readers.
    n_ratings = _FEWEST_RATINGS + int(spread * max(rng.random(), rng.random()) * rng.random())
    # Nobody has read a whole shelf: a fifth of it always stays to be recommended.
    n_inside = min(int(n_ratings * _P_INSIDE), len(inside) * 4 // 5)
    n_outside = n_ratings - int(n_ratings * _P_INSIDE)
    n_likes, n_dislikes = _below(rng, 4), _below(rng, 3)
    liked = _draw(rng, inside, n=n_inside + n_likes, reader=reader, shelf=shelf)
    others = _draw(rng, outside, n=n_outside + n_dislikes, reader=reader, shelf=shelf)
    for book in (*liked[:n_inside], *others[:n_outside]):
        stars = _stars(reader, book, rng=rng)
        yield _Act(Kind.RATING, book.item_id, book.item_id, value=stars)
    for book in liked[n_inside:]:
        yield _Act(Kind.LIKE, book.item_id, book.item_id)
    for book in others[n_outside:]:
        yield _Act(Kind.DISLIKE, book.item_id, book.item_id)


def _notes(reader: Reader, *, shelf: Shelf, rng: Random) -> Iterator[_Act]:
    """Yield one or two statements of the reader's strongest taste."""
    sentences = list(shelf.notes[reader.tastes[0]])
    for count in range(1, 2 + _below(rng, 2)):
        text = sentences.pop(_below(rng, len(sentences)))
        yield _Act(Kind.NOTE, str(count), text=text)


def _stars(reader: Reader, book: Item, *, rng: Random) -> float:
    """Return 1 to 5: taste, author, the book's own quality, the reader's generosity, and chance."""
    taste = 4.1 if group_of(book) in reader.tastes else 2.6
    author = 0.6 if author_of(book) == reader.author else 0.0
    quality = 0.8 * _chance(f"quality:{book.item_id}").random() - 0.4
    chance = 1.3 * (rng.random() + rng.random() - 1)
    rounded = int(taste + author + quality + reader.generosity + chance + 0.5)
    return float(min(5, max(1, rounded)))


def _draw(
    rng: Random, books: Sequence[Item], *, n: int, reader: Reader, shelf: Shelf
) -> list[Item]:
    """Return ``n`` different books, popular ones and the favourite author's more often."""
    weights = [
        shelf.popularity[book.item_id]
        * (_FAVOURITE_AUTHOR_FACTOR if author_of(book) == reader.author else 1)
        for book in books
    ]
    ends = list(itertools.accumulate(weights))
    drawn: dict[ItemId, Item] = {}
    while len(drawn) < n:
        book = _pick(rng, books, ends=ends)
        drawn[book.item_id] = book
    return list(drawn.values())


def _pick(rng: Random, options: Sequence[T], *, ends: Sequence[float]) -> T:
    """Return one of the options; ``ends`` are the running sums of their weights."""
    return options[min(bisect.bisect(ends, rng.random() * ends[-1]), len(options) - 1)]


def _chance(seed: str) -> Random:
    return Random(seed)  # noqa: S311 - a simulation that must be repeatable, no secret


def _below(rng: Random, n: int) -> int:
    return int(rng.random() * n)
