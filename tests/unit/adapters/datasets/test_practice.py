"""Files as people have them: what is wrong with one part costs that part."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.adapters.datasets.encodings import encoding_of
from app.adapters.datasets.movielens import MovieLensDataset
from app.adapters.datasets.ndjson import NdjsonDataset
from app.adapters.datasets.options import ReadOptions
from app.adapters.datasets.recbole import RecBoleDataset
from app.domain.errors import InvalidInputError
from app.ports.dataset import BadLine, Dataset, InteractionRecord, ItemRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
INTER = "user_id:token\titem_id:token\ttimestamp:float\n"
FILM = "1|{title}|01-Jan-1995||http://x|" + "|".join("0" * 19) + "\n"


def atomic(
    tmp_path: Path,
    *,
    item: str | bytes = "item_id:token\n",
    inter: str = INTER,
    options: ReadOptions | None = None,
) -> RecBoleDataset:
    (tmp_path / "a.inter").write_text(inter)
    (tmp_path / "a.item").write_bytes(item.encode() if isinstance(item, str) else item)
    return RecBoleDataset(tmp_path, now=NOW, options=options or ReadOptions())


def kept(dataset: Dataset) -> list[ItemRecord]:
    records = list(dataset.items())
    assert not [record for record in records if isinstance(record, BadLine)]
    return [record for record in records if isinstance(record, ItemRecord)]


def titles(dataset: Dataset) -> list[str]:
    return [record.item.title for record in kept(dataset)]


def n_acts(dataset: Dataset) -> int:
    return sum(isinstance(record, InteractionRecord) for record in dataset.interactions())


@pytest.mark.parametrize("price", ["—", "$9.99", "1,299.00", "nan", "inf"])
def test_leaves_out_a_price_alone_when_it_is_no_number(tmp_path: Path, price: str) -> None:
    item = f"item_id:token\ttitle:token\tprice:float\tclass:token_seq\nA2\tNet\t{price}\tSport\n"

    (record,) = kept(atomic(tmp_path, item=item))

    assert (record.item.title, record.item.attributes) == ("Net", {"genres": ["Sport"]})
    (told,) = record.left_out
    assert told.startswith("attributes.price: ")
    assert price not in told


def test_leaves_out_categories_alone_when_they_are_too_many(tmp_path: Path) -> None:
    many = " ".join(f"c{number}" for number in range(65))
    item = f"item_id:token\ttitle:token\tclass:token_seq\tbrand:token\nA\tNet\t{many}\tAcme\n"

    (record,) = kept(atomic(tmp_path, item=item))

    assert record.item.attributes == {"brand": "Acme"}
    assert [told.partition(":")[0] for told in record.left_out] == ["attributes.genres"]


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"attributes": {"brand": None, "year": 1990}}, "attributes.brand"),
        ({"attributes": {"nested": {"a": "secret"}, "year": 1990}}, "attributes.nested"),
        ({"attributes": {"price": float("nan"), "year": 1990}}, "attributes.price"),
        ({"attributes": {"year": 1990}, "price": 3}, "price"),
        ({"attributes": {"year": 1990}, "description": "secret" * 2_000}, "description"),
        ({"attributes": {"year": 1990}, "title": "secret" * 100}, "title"),
    ],
)
def test_leaves_out_a_part_of_an_object_when_it_is_wrong(
    tmp_path: Path, part: dict[str, object], field: str
) -> None:
    (tmp_path / "items.ndjson").write_text(json.dumps({"item_id": "i", "title": "One"} | part))

    (record,) = kept(NdjsonDataset(tmp_path, now=NOW))

    assert record.item.attributes == {"year": 1990}
    assert record.item.title == ("i" if field == "title" else "One")
    assert [told.partition(":")[0] for told in record.left_out] == [field]
    assert "secret" not in record.left_out[0]


def test_keeps_sixty_four_attributes_when_there_are_more(tmp_path: Path) -> None:
    attributes = {f"a{number}": number for number in range(66)}
    item = {"item_id": "i", "title": "One", "attributes": attributes}
    (tmp_path / "items.ndjson").write_text(json.dumps(item))

    (record,) = kept(NdjsonDataset(tmp_path, now=NOW))

    assert len(record.item.attributes) == 64
    assert record.left_out == (
        "attributes.a64: must have at most 64 entries",
        "attributes.a65: must have at most 64 entries",
    )


@pytest.mark.parametrize("title", [None, "", "  ", "absent"])
def test_shows_the_id_when_the_title_is_empty(tmp_path: Path, title: str | None) -> None:
    item = {"item_id": "i"} if title == "absent" else {"item_id": "i", "title": title}
    (tmp_path / "items.ndjson").write_text(json.dumps(item))

    assert titles(NdjsonDataset(tmp_path, now=NOW)) == ["i"]


@pytest.mark.parametrize(
    "column",
    [
        *("title:token", "movie_name:token_seq", "movie_title:token_seq", "book_title:token_seq"),
        *("name:token", "item_name:token", "product_title:token_seq"),
    ],
)
def test_finds_titles_under_their_usual_names(tmp_path: Path, column: str) -> None:
    item = f"item_id:token\tbrand_name:token\t{column}\n1\tAcme\tToy Story\n"

    assert titles(atomic(tmp_path, item=item)) == ["Toy Story"]


def test_says_that_there_are_no_titles_and_takes_those_it_is_told(tmp_path: Path) -> None:
    item = "item_id:token\theadline:token_seq\n1\tTown opens bridge\n"

    silent = atomic(tmp_path, item=item)
    told = atomic(tmp_path, item=item, options=ReadOptions(title_column="headline"))

    assert titles(silent) == ["1"]
    assert "--title-column" in silent.remarks[0]
    assert (titles(told), told.remarks) == (["Town opens bridge"], ())


@pytest.mark.parametrize("rows", ["u\ta\t1400000000\n", "u a 1400000000\n"])
def test_reads_a_header_with_blanks_between_the_columns(tmp_path: Path, rows: str) -> None:
    assert n_acts(atomic(tmp_path, inter=INTER.replace("\t", " ") + rows)) == 1


def test_names_the_kind_for_commas_when_a_header_has_them(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"a\.inter: .*lethe load csv"):
        atomic(tmp_path, inter=INTER.replace("\t", ","))


def test_label_0_is_no_event(tmp_path: Path) -> None:
    inter = INTER.replace("timestamp", "label:float\ttimestamp")
    rows = "u\ta\t0\t1400000000\nu\tb\t1\t1400000000\nu\tc\t0\t1400000000\nu\td\tx\t1400000000\n"

    dataset = atomic(tmp_path, inter=inter + rows)

    event, bad = dataset.interactions()
    assert isinstance(event, InteractionRecord)
    assert event.interaction.item_id == "b"
    assert isinstance(bad, BadLine)
    assert (bad.file, bad.line, bad.message) == ("a.inter", 5, "label: is not a number")
    assert "label 0" in dataset.remarks[0]


def test_takes_other_columns_of_ids_when_they_are_usual_or_told(tmp_path: Path) -> None:
    usual = INTER.replace("user_id", "userId").replace("item_id", "movieId")
    other = INTER.replace("user_id", "uid").replace("item_id", "iid")
    row = "u\ta\t1400000000\n"

    assert n_acts(atomic(tmp_path, inter=usual + row)) == 1
    told = ReadOptions(user_column="uid", item_column="iid")
    assert n_acts(atomic(tmp_path, inter=other + row, options=told)) == 1
    with pytest.raises(InvalidInputError, match=r"no column user_id:token; .*--user-column"):
        atomic(tmp_path, inter=other + row)


def test_reads_data_without_times_when_one_is_told(tmp_path: Path) -> None:
    inter = INTER.replace("\ttimestamp:float", "") + "u\ta\n"
    when = datetime(2024, 1, 1, tzinfo=UTC)

    (record,) = atomic(tmp_path, inter=inter, options=ReadOptions(default_time=when)).interactions()

    assert isinstance(record, InteractionRecord)
    assert record.interaction.occurred_at == when
    with pytest.raises(InvalidInputError, match="--default-time"):
        atomic(tmp_path, inter=inter)


def test_reads_milliseconds_without_being_told(tmp_path: Path) -> None:
    (record,) = atomic(tmp_path, inter=INTER + "u\ta\t1400000000123\n").interactions()

    assert isinstance(record, InteractionRecord)
    assert record.interaction.occurred_at.year == 2014


def test_reads_compressed_files_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "a.inter.gz").write_bytes(gzip.compress(f"{INTER}u\t1\t1400000000\n".encode()))
    (tmp_path / "a.item.gz").write_bytes(gzip.compress(b"item_id:token\tname:token\n1\tOne\n"))
    (tmp_path / "u.item.gz").write_bytes(gzip.compress(FILM.format(title="One").encode()))
    (tmp_path / "u.data.gz").write_bytes(gzip.compress(b"1\t1\t5\t874965758\n"))
    item = json.dumps({"item_id": "1", "title": "One"}).encode()
    (tmp_path / "items.ndjson.gz").write_bytes(gzip.compress(item))

    recbole, films = RecBoleDataset(tmp_path, now=NOW), MovieLensDataset(tmp_path, now=NOW)

    assert recbole.file_names == ("a.item.gz", "a.inter.gz")
    assert [n_acts(dataset) for dataset in (recbole, films)] == [1, 1]
    for dataset in (recbole, films, NdjsonDataset(tmp_path, now=NOW)):
        assert titles(dataset) == ["One"]


def test_reads_a_compressed_file_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_bytes(gzip.compress(f"{INTER}u\t1\t1400000000\n".encode()))

    assert n_acts(RecBoleDataset(tmp_path, now=NOW)) == 1


@pytest.mark.parametrize("cut", [3, -9])
def test_refuses_a_compressed_file_that_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "items.ndjson.gz"
    path.write_bytes(gzip.compress(b'{"item_id": "1", "title": "One"}\n')[:cut])

    with pytest.raises(InvalidInputError, match=r"items\.ndjson\.gz is not a whole gzip file"):
        list(NdjsonDataset(tmp_path, now=NOW).items())


@pytest.mark.parametrize(
    ("title", "encoding"),
    [
        ("Misérables, Les (1995)", "latin-1"),
        ("Misérables, Les (1995)", "utf-8"),
        ("Schindler\u2019s \u201cList\u201d \u2013 é (1993)", "cp1252"),
        ("Двадцать дней без войны", "utf-8"),
    ],
)
def test_reads_titles_right_in_either_encoding(tmp_path: Path, title: str, encoding: str) -> None:
    (tmp_path / "u.item").write_bytes(FILM.format(title=title).encode(encoding))
    (tmp_path / "u.data").write_bytes(b"1\t1\t5\t874965758\r\n")

    assert titles(MovieLensDataset(tmp_path, now=NOW)) == [title]


@pytest.mark.parametrize(
    ("title", "encoding"),
    [
        ("Двадцать дней без войны", "cp1251"),
        ("Двадцать дней без войны", "koi8-r"),
        ("Ταξίδι στα Κύθηρα", "iso8859-7"),
        ("Człowiek z żelaza, miłość", "cp1250"),
        ("七人の侍", "shift_jis"),
        ("霸王别姬", "gb18030"),
    ],
)
def test_refuses_what_it_would_garble_and_reads_it_when_told(
    tmp_path: Path, title: str, encoding: str
) -> None:
    item = f"item_id:token\ttitle:token\n1\t{title}\n".encode(encoding)

    with pytest.raises(InvalidInputError, match=r"a\.item, line 2: neither UTF-8 nor .*--encoding"):
        atomic(tmp_path, item=item)
    assert titles(atomic(tmp_path, item=item, options=ReadOptions(encoding=encoding))) == [title]


def test_names_damaged_lines_when_others_are_utf_8(tmp_path: Path) -> None:
    item = b"item_id:token\ttitle:token\n1\t\xd0\n2\t\xd0\x94\xd0\xb0\n"

    bad, good = atomic(tmp_path, item=item).items()

    assert isinstance(bad, BadLine)
    assert (bad.file, bad.line, bad.message) == ("a.item", 2, "line: is not UTF-8")
    assert isinstance(good, ItemRecord)
    assert good.item.title == "Да"


@pytest.mark.parametrize("told", ["utf-16", "klingon", "base64"])
def test_refuses_an_encoding_that_cannot_be_read_by_lines(tmp_path: Path, told: str) -> None:
    with pytest.raises(InvalidInputError, match="encoding: "):
        encoding_of(tmp_path, told=told)


def test_refuses_utf_16(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("item_id,title\n1,One\n".encode("utf-16"))

    with pytest.raises(InvalidInputError, match=r"a\.csv is in UTF-16"):
        encoding_of(path, told=None)
