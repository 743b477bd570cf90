from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.adapters.datasets.recbole import RecBoleDataset
from app.domain.errors import InvalidInputError
from app.domain.models import Item, ItemId, Kind, ReportedInteraction
from app.ports.dataset import BadLine, InteractionRecord, ItemRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ATOMIC = Path(__file__).parents[3] / "data" / "datasets" / "atomic"
HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"


def inter(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "small.inter"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def interactions(path: Path) -> list[ReportedInteraction]:
    records = RecBoleDataset(path, now=NOW).interactions()
    return [record.interaction for record in records if isinstance(record, InteractionRecord)]


def test_reads_ratings_from_a_folder() -> None:
    acts = interactions(ATOMIC)

    assert [(act.user, act.item_id, act.kind, act.value) for act in acts] == [
        ("u:1", "a", Kind.RATING, 5.0),
        ("u:1", "b", Kind.RATING, 1.5),
        ("u2", "a", Kind.RATING, 3.0),
    ]
    assert acts[1].occurred_at == datetime(2023, 11, 14, 22, 14, 20, tzinfo=UTC)


def test_reads_items_with_attributes_in_our_words() -> None:
    records = list(RecBoleDataset(ATOMIC, now=NOW).items())

    assert [record.item for record in records if isinstance(record, ItemRecord)] == [
        Item(
            ItemId("a"),
            "Salt and Harbour",
            attributes={"year": 1990, "genres": ["Drama", "War"], "price": 9.5},
        ),
        Item(ItemId("b"), "The Quiet Mill", attributes={"genres": ["Comedy"], "price": 3.0}),
    ]


def test_says_what_it_does_not_load() -> None:
    assert RecBoleDataset(ATOMIC, now=NOW).remarks == (
        "atomic.user is not loaded: Lethe keeps no facts about a person but their acts.",
        "atomic.item: not loaded, as vectors are no facts: vector.",
    )


def test_never_opens_the_file_of_users(tmp_path: Path) -> None:
    path = inter(tmp_path, HEADER + "u\ta\t1\t1700000000\n")
    path.with_suffix(".user").mkdir()  # opening it would raise IsADirectoryError

    assert len(interactions(path)) == 1


def test_reads_views_when_there_is_no_rating_column(tmp_path: Path) -> None:
    content = "timestamp:float\titem_id:token\tuser_id:token\tweek:token\n1700000000\ta\tu\t3\n"
    path = inter(tmp_path, content)

    (act,) = interactions(path)

    assert (act.user, act.item_id, act.kind, act.value) == ("u", "a", Kind.VIEW, None)
    assert RecBoleDataset(path, now=NOW).remarks == ("small.inter: not loaded: week.",)


def test_has_no_items_when_there_is_no_item_file(tmp_path: Path) -> None:
    dataset = RecBoleDataset(inter(tmp_path, HEADER), now=NOW)

    assert dataset.items_total == 0
    assert list(dataset.items()) == []


def test_shows_the_item_id_when_there_is_no_title(tmp_path: Path) -> None:
    path = inter(tmp_path, HEADER)
    path.with_suffix(".item").write_text("item_id:token\tbrand:token\na17\tAcme\n")

    (record,) = RecBoleDataset(path, now=NOW).items()

    assert isinstance(record, ItemRecord)
    assert record.item == Item(ItemId("a17"), "a17", attributes={"brand": "Acme"})


def test_event_ids_follow_from_the_row(tmp_path: Path) -> None:
    rows = "u\ta\t1\t1700000000\n" * 2 + "u\ta\t1\t1700000001\n" + "u\ta\t2\t1700000000\n"

    ids = [act.event_id for act in interactions(inter(tmp_path, HEADER + rows))]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_event_ids_keep_apart_what_a_separator_would_join(tmp_path: Path) -> None:
    rows = "u:a\tb\t1\t1700000000\nu\ta:b\t1\t1700000000\n"

    one, other = interactions(inter(tmp_path, HEADER + rows))

    assert one.event_id != other.event_id


def test_reads_a_file_with_bom_and_crlf(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + HEADER.encode() + "ü\ta\t1\t1700000000\n".encode()

    (act,) = interactions(inter(tmp_path, content.replace(b"\n", b"\r\n")))

    assert act.user == "ü"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("user_id:token\titem_id:token", "small.inter: no column timestamp:float"),
        ("uid:token\titem_id:token\ttimestamp:float", "small.inter: no column user_id:token"),
        (HEADER.replace("item_id:token", "item_id:float"), "item_id must be of type token"),
        (HEADER.replace("rating:float", "rating:token"), "rating must be of type float"),
        (HEADER.replace("rating:float", "item_id:token"), "two columns item_id"),
        (HEADER.replace("rating:float", "rating"), "each column must be named as name:type"),
        (HEADER.replace("rating:float", "rating:int"), "each column must be named as name:type"),
        (HEADER.replace("\t", ","), "each column must be named as name:type"),
        ("u1\ta\t5\t1700000000", "each column must be named as name:type"),
    ],
)
def test_refuses_a_header_it_cannot_map(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        RecBoleDataset(inter(tmp_path, header), now=NOW)


def test_refuses_an_item_header_without_item_id(tmp_path: Path) -> None:
    path = inter(tmp_path, HEADER)
    path.with_suffix(".item").write_text("id:token\ttitle:token\n")

    with pytest.raises(InvalidInputError, match=r"small\.item: no column item_id:token"):
        RecBoleDataset(path, now=NOW)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("u\ta\t5", "line: must have 4 columns, has 3"),
        ("u\ta\t\t1700000000", "rating: is not a number"),
        ("u\ta\t5\tsoon", "timestamp: is neither a number nor an ISO 8601 time"),
        ("u\t\t5\t1700000000", "item_id: must not be empty"),
        ("u" * 257 + "\ta\t5\t1700000000", "user: must have at most 256 characters"),
    ],
)
def test_reports_a_bad_row_and_goes_on(tmp_path: Path, line: str, message: str) -> None:
    good = "u\ta\t1\t1700000000\n"

    dataset = RecBoleDataset(inter(tmp_path, HEADER + good + line + "\n" + good), now=NOW)

    first, bad, last = dataset.interactions()
    assert isinstance(first, InteractionRecord)
    assert isinstance(last, InteractionRecord)
    assert isinstance(bad, BadLine)
    assert (bad.file, bad.line, bad.message) == ("small.inter", 3, message)


def test_refuses_a_folder_with_two_sets_and_names_them(tmp_path: Path) -> None:
    for name in ("one.inter", "two.inter"):
        (tmp_path / name).write_text(HEADER)

    with pytest.raises(InvalidInputError, match=r"name one of one\.inter, two\.inter"):
        RecBoleDataset(tmp_path, now=NOW)


def test_takes_the_set_of_the_folder_s_name(tmp_path: Path) -> None:
    path = tmp_path / "atomic"
    shutil.copytree(ATOMIC, path)
    (path / "atomic.train.inter").write_text("no header")

    assert len(interactions(path)) == 3


@pytest.mark.parametrize(
    ("name", "message"), [("", "no .inter file in the folder"), ("a.csv", "must be a .inter file")]
)
def test_refuses_a_path_without_a_set(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        RecBoleDataset(tmp_path / name, now=NOW)


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"there is no file gone\.inter"):
        RecBoleDataset(tmp_path / "gone.inter", now=NOW)
