from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.adapters.datasets.movielens import MovieLensDataset
from app.domain.errors import InvalidInputError
from app.domain.models import Item, ItemId, Kind, ReportedInteraction
from app.ports.dataset import BadLine, InteractionRecord, ItemRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILMS = Path(__file__).parents[3] / "data" / "datasets" / "films"
GOOD_ITEM = (FILMS / "u.item").read_bytes().splitlines()[1]


def folder(tmp_path: Path, *, data: bytes = b"7\t1\t5\t1700000000\n", item: bytes = b"") -> Path:
    (tmp_path / "u.data").write_bytes(data)
    (tmp_path / "u.item").write_bytes(item or GOOD_ITEM)
    return tmp_path


def test_reads_films_with_genres_and_year() -> None:
    films = [
        record.item
        for record in MovieLensDataset(FILMS, now=NOW).items()
        if isinstance(record, ItemRecord)
    ]

    assert films == [
        Item(
            ItemId("1"),
            "Die Brücke der Möwen (1991)",
            attributes={"genres": ["Drama", "Romance"], "year": 1991},
        ),
        Item(
            ItemId("2"),
            "The Lighthouse Keeper's Cat (1987)",
            attributes={"genres": ["Children's", "Comedy"], "year": 1987},
        ),
        Item(ItemId("3"), "Untitled Reel", attributes={"genres": [], "year": 1993}),
    ]


def test_reads_ratings_as_interactions() -> None:
    first, *others = MovieLensDataset(FILMS, now=NOW).interactions()

    assert isinstance(first, InteractionRecord)
    assert first.interaction == ReportedInteraction(
        event_id="ml-100k:7:1",
        user="7",
        kind=Kind.RATING,
        occurred_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        item_id=ItemId("1"),
        value=5.0,
    )
    assert len(others) == 2


def test_never_opens_the_file_of_demographics(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "u.user").mkdir()  # opening it would raise IsADirectoryError

    dataset = MovieLensDataset(path, now=NOW)
    records = [*dataset.items(), *dataset.interactions()]

    assert not [record for record in records if isinstance(record, BadLine)]
    assert "u.user is not loaded" in dataset.remarks[0]


def test_makes_no_remark_when_there_are_no_demographics(tmp_path: Path) -> None:
    assert MovieLensDataset(folder(tmp_path), now=NOW).remarks == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"7\t1\t5", "line: must have 4 columns, has 3"),
        (b"7\t1\t5\t1700000000\tx", "line: must have 4 columns, has 5"),
        (b"7\t1\tfive\t1700000000", "rating: is not a number"),
        (b"7\t1\t1_0\t1700000000", "rating: is not a number"),
        (b"7\t1\tnan\t1700000000", "value: must lie between -1e+06 and 1e+06"),
        (b"7\t1\t5\tyesterday", "timestamp: is neither a number nor an ISO 8601 time"),
        (b"7\t1\t5\t1e30", "timestamp: is not a time in seconds since 1970"),
        (b"7\t1\t5\tinf", "timestamp: is not a time in seconds since 1970"),
        (b"7\t1\t5\t4000000000", "occurred_at: must lie between 1900 and now"),
        (b"\t1\t5\t1700000000", "user: must not be empty"),
        (b"\xff\t1\t5\t1700000000", "line: is not UTF-8"),
    ],
)
def test_reports_a_bad_rating_and_goes_on(tmp_path: Path, line: bytes, message: str) -> None:
    good = b"7\t1\t5\t1700000000\n"

    records = list(
        MovieLensDataset(folder(tmp_path, data=good + line + b"\n" + good), now=NOW).interactions()
    )

    assert [type(record) for record in records] == [InteractionRecord, BadLine, InteractionRecord]
    bad = records[1]
    assert isinstance(bad, BadLine)
    assert (bad.file, bad.line) == ("u.data", 2)
    assert message in bad.message


def test_keeps_a_film_without_genres_when_they_are_no_flags(tmp_path: Path) -> None:
    item = GOOD_ITEM[:-1] + b"2\n" + GOOD_ITEM + b"\n" + GOOD_ITEM[:-2] + b"\n"

    first, _, bad = MovieLensDataset(folder(tmp_path, item=item), now=NOW).items()

    assert isinstance(first, ItemRecord)
    assert first.left_out == ("attributes.genres: every genre must be 0 or 1",)
    assert first.item.attributes == {"year": 1987}
    assert isinstance(bad, BadLine)
    assert (bad.file, bad.message) == ("u.item", "line: must have 24 columns, has 23")


def test_reads_titles_of_copies_made_ascii(tmp_path: Path) -> None:
    item = re.sub(rb"\|The", rb"|L\\E9a and the", GOOD_ITEM)

    (record,) = MovieLensDataset(folder(tmp_path, item=item), now=NOW).items()

    assert isinstance(record, ItemRecord)
    assert record.item.title == "Léa and the Lighthouse Keeper's Cat (1987)"


def test_gives_a_repeated_row_the_same_event_id(tmp_path: Path) -> None:
    data = b"7\t1\t5\t1700000000\n" * 2

    records = list(MovieLensDataset(folder(tmp_path, data=data), now=NOW).interactions())

    ids = [r.interaction.event_id for r in records if isinstance(r, InteractionRecord)]
    assert ids == ["ml-100k:7:1", "ml-100k:7:1"]


@pytest.mark.parametrize("missing", ["u.data", "u.item"])
def test_refuses_a_folder_that_lacks_a_file(tmp_path: Path, missing: str) -> None:
    (folder(tmp_path) / missing).unlink()

    with pytest.raises(InvalidInputError, match=f"path: there is no file {missing}"):
        MovieLensDataset(tmp_path, now=NOW)


def test_refuses_an_empty_file(tmp_path: Path) -> None:
    (folder(tmp_path) / "u.data").write_bytes(b"")

    with pytest.raises(InvalidInputError, match=r"u\.data is empty"):
        MovieLensDataset(tmp_path, now=NOW)


def test_refuses_a_path_that_is_no_folder() -> None:
    with pytest.raises(InvalidInputError, match="must be the folder with"):
        MovieLensDataset(FILMS / "u.data", now=NOW)


@pytest.mark.movielens
def test_reads_the_whole_of_the_published_set() -> None:
    dataset = MovieLensDataset(Path(os.environ["LETHE_MOVIELENS_DIR"]), now=NOW)

    items, interactions = list(dataset.items()), list(dataset.interactions())

    assert not [r for r in (*items, *interactions) if isinstance(r, BadLine)]
    assert len({r.item.item_id for r in items if isinstance(r, ItemRecord)}) == 1682
    acts = [r.interaction for r in interactions if isinstance(r, InteractionRecord)]
    assert len({act.event_id for act in acts}) == 100_000
    assert len({act.user for act in acts}) == 943
    assert {act.value for act in acts} == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert interactions[-1].position.offset == dataset.interactions_total
