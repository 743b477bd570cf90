from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.adapters.datasets.registry import open_dataset
from app.domain.errors import InvalidInputError
from app.domain.models import Item, Kind, ReportedInteraction
from app.ports.dataset import BadLine, Dataset, DatasetKind, InteractionRecord, ItemRecord
from benchmarks.demo.make import NOTES, WELL_KNOWN, demo_readers
from benchmarks.demo.readers import GROUPS, N_READERS, Reader, Shelf, group_of, make_reader

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SUBJECTS = Path(__file__).parents[3] / "data" / "datasets" / "subjects.txt"
VOCABULARY = {*GROUPS, *SUBJECTS.read_text(encoding="utf-8").split()}
SERIES_TO_FORGET = {
    "Sherlock Holmes": 9,
    "Oz": 6,
    "Barsoom": 5,
    "Tarzan": 5,
    "Arsène Lupin": 5,
    "Father Brown": 4,
    "Anne of Green Gables": 4,
    "Jeeves": 3,
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return open_dataset(DatasetKind.DEMO, None, now=NOW)


@pytest.fixture(scope="module")
def books(dataset: Dataset) -> list[Item]:
    records = list(dataset.items())
    assert not [record for record in records if isinstance(record, BadLine)]
    return [record.item for record in records if isinstance(record, ItemRecord)]


@pytest.fixture(scope="module")
def acts(dataset: Dataset) -> list[ReportedInteraction]:
    return [r.interaction for r in dataset.interactions() if isinstance(r, InteractionRecord)]


@pytest.fixture(scope="module")
def readers(books: list[Item]) -> dict[str, Reader]:
    shelf = Shelf.of(books, well_known=WELL_KNOWN, notes=NOTES)
    made = (make_reader(number, shelf=shelf) for number in range(1, N_READERS + 1))
    return {reader.name: reader for reader in made}


def subjects(book: Item) -> list[str]:
    found = book.attributes["subjects"]
    assert isinstance(found, list)
    return found


def test_catalogue_has_enough_books_and_each_once(books: list[Item]) -> None:
    assert len(books) >= 420
    assert len({book.item_id for book in books}) == len(books)
    assert len({book.title for book in books}) == len(books)


def test_every_group_has_enough_books(books: list[Item]) -> None:
    sizes = Counter(group_of(book) for book in books)

    assert set(sizes) == set(GROUPS)
    assert min(sizes.values()) >= 18


def test_every_book_is_well_formed(books: list[Item]) -> None:
    for book in books:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", book.item_id), book.item_id
        assert 8 <= len(book.description.split()) <= 20, book.item_id
        assert set(book.attributes) - {"series"} == {"author", "year", "subjects"}, book.item_id
        assert set(subjects(book)) <= VOCABULARY, book.item_id
        assert len(set(subjects(book))) == len(subjects(book)) >= 2, book.item_id


def test_every_title_ends_in_its_year_and_none_is_under_copyright(books: list[Item]) -> None:
    for book in books:
        year = book.attributes["year"]
        assert isinstance(year, int)
        shown = rf"\((c\. )?{-year} BC\)$" if year < 0 else rf"\((c\. |AD )?(AD )?{year}\)$"
        assert re.search(shown, book.title), book.title
        assert year < 1928, book.title


def test_series_that_a_topic_forget_can_name_have_several_books(books: list[Item]) -> None:
    for series, n_books in SERIES_TO_FORGET.items():
        members = [book for book in books if book.attributes.get("series") == series]
        assert len(members) == n_books, series


def test_every_sherlock_holmes_book_says_so(books: list[Item]) -> None:
    for book in books:
        is_member = book.attributes.get("series") == "Sherlock Holmes"
        assert ("Sherlock Holmes" in book.description) == is_member, book.item_id


def test_lists_beside_the_catalogue_name_what_is_in_it(books: list[Item]) -> None:
    assert set(WELL_KNOWN) <= {book.item_id for book in books}
    assert len(set(WELL_KNOWN)) == len(WELL_KNOWN)
    assert set(NOTES) == set(GROUPS)
    assert min(len(sentences) for sentences in NOTES.values()) >= 2


def test_six_hundred_readers_make_some_twenty_thousand_interactions(
    acts: list[ReportedInteraction],
) -> None:
    ratings = Counter(act.user for act in acts if act.kind is Kind.RATING)

    assert 18_000 <= len(acts) <= 22_000
    assert len(ratings) == N_READERS == 600
    assert min(ratings.values()) >= 15
    assert max(ratings.values()) <= 60


def test_some_readers_like_dislike_and_write(acts: list[ReportedInteraction]) -> None:
    kinds = Counter(act.kind for act in acts)
    writers = Counter(act.user for act in acts if act.kind is Kind.NOTE)

    assert kinds[Kind.LIKE] > 500
    assert kinds[Kind.DISLIKE] > 300
    assert len(writers) == 60
    assert set(writers.values()) == {1, 2}


def test_nobody_has_two_opinions_of_a_book(acts: list[ReportedInteraction]) -> None:
    opinions = [(act.user, act.item_id) for act in acts if act.item_id]

    assert len(set(opinions)) == len(opinions)


def test_the_file_holds_what_the_simulation_makes_and_nothing_else(
    acts: list[ReportedInteraction],
) -> None:
    random.seed()  # Nothing of it may depend on the state that all share.

    assert acts == list(demo_readers()), "run python -m benchmarks.demo.make"


def test_interactions_name_books_and_lie_in_2024_and_2025(
    acts: list[ReportedInteraction], books: list[Item]
) -> None:
    assert {act.item_id for act in acts if act.item_id} <= {book.item_id for book in books}
    assert {act.occurred_at.year for act in acts} == {2024, 2025}
    assert len({act.event_id for act in acts}) == len(acts)


def test_each_reader_s_interactions_come_in_order_of_time(
    acts: list[ReportedInteraction], readers: dict[str, Reader]
) -> None:
    assert acts == sorted(acts, key=lambda act: (act.user, act.occurred_at))
    assert list(dict.fromkeys(act.user for act in acts)) == list(readers)


def test_who_knows_the_tastes_sees_them_in_the_ratings(
    acts: list[ReportedInteraction], books: list[Item], readers: dict[str, Reader]
) -> None:
    groups = {book.item_id: group_of(book) for book in books}
    high: dict[bool, list[bool]] = {True: [], False: []}
    for act in acts:
        if act.kind is Kind.RATING and act.item_id and act.value:
            is_inside = groups[act.item_id] in readers[act.user].tastes
            high[is_inside].append(act.value >= 4)

    share_inside = sum(high[True]) / len(high[True])
    share_outside = sum(high[False]) / len(high[False])
    assert share_inside > 0.75
    assert share_outside < 0.15
    assert sum(high[True]) / (sum(high[True]) + sum(high[False])) > 0.9


def test_readers_seek_out_their_author(
    acts: list[ReportedInteraction], books: list[Item], readers: dict[str, Reader]
) -> None:
    authors = {book.item_id: book.attributes["author"] for book in books}
    rated = [(readers[a.user].author, authors[a.item_id]) for a in acts if a.item_id]
    others = list(readers.values())
    shifted = {name: others[i - 23].author for i, name in enumerate(readers)}

    own = sum(favourite == author for favourite, author in rated)
    # The reader 23 places before has the same first taste, so only the author differs.
    chance = sum(shifted[a.user] == authors[a.item_id] for a in acts if a.item_id)
    assert own > 1.5 * chance


def test_popularity_is_skewed_and_every_book_has_readers(
    acts: list[ReportedInteraction], books: list[Item]
) -> None:
    counts = Counter(act.item_id for act in acts if act.item_id)

    top = sum(count for _, count in counts.most_common(len(books) // 10))
    assert len(counts) == len(books)
    assert 0.25 < top / counts.total() < 0.6


def test_is_the_same_on_every_machine_whatever_the_global_random_state(
    acts: list[ReportedInteraction],
) -> None:
    facts = [(a.event_id, a.value, a.text, a.occurred_at.isoformat()) for a in acts]

    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    # To be renewed when the catalogue or the simulation is changed on purpose, and only then.
    assert digest == "318f4857c22f097560ba4b66ecc0b360bc0b75c8b6c6c30494a7714fa9468f60"


def test_another_seed_makes_other_readers(acts: list[ReportedInteraction]) -> None:
    others = list(demo_readers(seed=7))

    assert {act.item_id for act in others[:30]} != {act.item_id for act in acts[:30]}


def test_goes_on_from_a_position(dataset: Dataset) -> None:
    everything = list(dataset.interactions())

    rest = list(dataset.interactions(after=everything[999].position))

    assert everything[999].position.line == 1000
    assert rest == everything[1000:]
    assert everything[-1].position.offset == dataset.interactions_total


@pytest.mark.parametrize("kind", sorted(set(DatasetKind) - {DatasetKind.DEMO, DatasetKind.EXPORT}))
def test_opens_every_kind_by_name(kind: DatasetKind) -> None:
    data = Path(__file__).parents[3] / "data" / "datasets"
    paths = {
        "ml-100k": data / "films",
        "movielens": data / "tables",
        "csv": data / "shop",
        "recbole": data / "atomic",
        "ndjson": data / "wire",
    }

    opened = open_dataset(kind, paths.get(kind), now=NOW)

    assert next(iter(opened.items())).position.line in {1, 2, 3}
    assert opened.items_total
    assert opened.interactions_total


@pytest.mark.parametrize(
    ("kind", "path", "message"),
    [
        ("xls", None, "kind: must be one of demo, ml-100k, movielens, csv, ndjson, recbole"),
        ("ndjson", None, "path: is required, as in: lethe load ndjson PATH"),
        ("demo", Path(), "path: the demo set ships with Lethe"),
    ],
)
def test_refuses_what_it_cannot_open(kind: str, path: Path | None, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        open_dataset(kind, path, now=NOW)
