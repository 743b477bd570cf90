from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.datasets.csv_files import CsvDataset
from app.adapters.datasets.movielens import MovieLensTables
from app.adapters.datasets.options import ReadOptions, TimeUnit
from app.adapters.datasets.registry import open_dataset
from app.domain.errors import InvalidInputError
from app.domain.models import Item, ItemId, Kind, ReportedInteraction
from app.ports.dataset import BadLine, Dataset, InteractionRecord, ItemRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DATA = Path(__file__).parents[3] / "data" / "datasets"
HEADER = "user_id,item_id,timestamp\n"


def written(tmp_path: Path, content: str | bytes, *, name: str = "acts.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def opened(path: Path, options: ReadOptions | None = None) -> CsvDataset:
    return CsvDataset(path, now=NOW, options=options or ReadOptions())


def acts(dataset: Dataset) -> list[ReportedInteraction]:
    records = list(dataset.interactions())
    assert not [record for record in records if isinstance(record, BadLine)]
    return [record.interaction for record in records if isinstance(record, InteractionRecord)]


def items(dataset: Dataset) -> list[Item]:
    return [record.item for record in dataset.items() if isinstance(record, ItemRecord)]


def test_reads_a_folder_of_items_and_interactions() -> None:
    dataset = opened(DATA / "shop")

    assert items(dataset) == [
        Item(
            ItemId("k1"),
            'Kettle, "small"',
            "Boils water.\nIn two minutes.",
            {"price": 9.5, "organic": True, "tags": ["kitchen", "steel"], "code": "007"},
        ),
        Item(
            ItemId("k2"),
            "Mug",
            attributes={"price": 4, "organic": False, "tags": "kitchen", "code": 12},
        ),
        Item(ItemId("k3"), "k3"),
    ]
    assert [(act.user, act.item_id, act.kind, act.value) for act in acts(dataset)] == [
        ("ann", "k1", Kind.RATING, 5.0),
        ("ann", "k2", Kind.RATING, 2.5),
        ("bob", "k2", Kind.RATING, 4.0),
    ]
    assert acts(dataset)[1].occurred_at == datetime(2023, 11, 14, 22, 14, 20, tzinfo=UTC)
    assert dataset.file_names == ("items.csv", "interactions.csv")


def test_takes_columns_under_any_name_when_the_options_name_them(tmp_path: Path) -> None:
    path = written(tmp_path, "client;thing;stars;when\nann;k1;3;1700000000000\n")
    options = ReadOptions(
        user_column="client",
        item_column="thing",
        value_column="stars",
        time_column="when",
        time_unit=TimeUnit.MS,
    )

    (act,) = acts(opened(path, options))

    assert (act.user, act.item_id, act.value) == ("ann", "k1", 3.0)
    assert act.occurred_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_takes_kinds_and_texts_in_lethe_s_own_words(tmp_path: Path) -> None:
    content = (
        "user_id,item_id,kind,text,date\nann,k1,like,,2024-01-01\nann,,note,I like tea,2024-01-02\n"
    )

    like, note = acts(opened(written(tmp_path, content)))

    assert (like.kind, note.kind, note.text, note.item_id) == (
        Kind.LIKE,
        Kind.NOTE,
        "I like tea",
        None,
    )


@pytest.mark.parametrize(
    ("stamp", "unit", "year"),
    [
        ("1400000000", TimeUnit.AUTO, 2014),
        ("1400000000123", TimeUnit.AUTO, 2014),
        ("1400000000123456", TimeUnit.AUTO, 2014),
        ("1.4e9", TimeUnit.AUTO, 2014),
        ("86400000", TimeUnit.AUTO, 1972),
        ("86400000", TimeUnit.MS, 1970),
        ("1400000000000000", TimeUnit.US, 2014),
        ("2014-05-13", TimeUnit.AUTO, 2014),
        ("2014-05-13 16:53:20+02:00", TimeUnit.AUTO, 2014),
    ],
)
def test_reads_times_in_any_unit(tmp_path: Path, stamp: str, unit: TimeUnit, year: int) -> None:
    path = written(tmp_path, HEADER + f"ann,k1,{stamp}\n")

    (act,) = acts(opened(path, ReadOptions(time_unit=unit)))

    assert act.occurred_at.year == year


@pytest.mark.parametrize(
    ("stamp", "unit", "message"),
    [
        ("99999999999", TimeUnit.AUTO, "timestamp: is no plausible time since 1970"),
        ("4000000000", TimeUnit.AUTO, "timestamp: is no plausible time since 1970"),
        ("4000000000", TimeUnit.S, "occurred_at: must lie between 1900 and now"),
        ("nan", TimeUnit.AUTO, "timestamp: is not a time in seconds since 1970"),
        ("1e30", TimeUnit.US, "timestamp: is not a time in microseconds since 1970"),
        ("soon", TimeUnit.AUTO, "timestamp: is neither a number nor an ISO 8601 time"),
    ],
)
def test_names_file_and_line_when_a_time_is_not_plausible(
    tmp_path: Path, stamp: str, unit: TimeUnit, message: str
) -> None:
    path = written(tmp_path, HEADER + f"ann,k1,1700000000\nann,k1,{stamp}\n")

    _, bad = opened(path, ReadOptions(time_unit=unit)).interactions()

    assert isinstance(bad, BadLine)
    assert (bad.file, bad.line) == ("acts.csv", 3)
    assert bad.message.startswith(message)


def test_gives_everything_one_time_when_there_are_none(tmp_path: Path) -> None:
    path = written(tmp_path, "user_id,item_id\nann,k1\n")
    when = datetime(2024, 1, 1, tzinfo=UTC)

    assert [act.occurred_at for act in acts(opened(path, ReadOptions(default_time=when)))] == [when]
    with pytest.raises(InvalidInputError, match=r"acts\.csv: .*--default-time"):
        opened(path)


@pytest.mark.parametrize(
    ("header", "option"),
    [("user_id,thing,date", "--item-column"), ("user_id,item", "--time-column")],
)
def test_names_the_option_when_a_column_is_missing(
    tmp_path: Path, header: str, option: str
) -> None:
    with pytest.raises(InvalidInputError, match=rf"acts\.csv: .*{option}"):
        opened(written(tmp_path, header + "\n"))


def test_says_that_ids_are_shown_when_no_column_has_titles(tmp_path: Path) -> None:
    path = written(tmp_path, "item_id,label\nk1,Kettle\n", name="things.csv")

    dataset, told = opened(path), opened(path, ReadOptions(title_column="label"))

    assert dataset.remarks == (
        "things.csv: no column of titles; ids are shown (--title-column names one).",
    )
    assert [item.title for item in items(dataset)] == ["k1"]
    assert [item.title for item in items(told)] == ["Kettle"]
    assert told.remarks == ()


def test_reports_a_row_whose_quotation_mark_stays_open_and_goes_on(tmp_path: Path) -> None:
    good = "ann,k1,1700000000\n"
    path = written(tmp_path, HEADER + '"ann"x,k1,1700000000\n' + good + "ann,k1\n" + good)

    bad, first, short, last = opened(path).interactions()

    assert isinstance(bad, BadLine)
    assert (bad.file, bad.line) == ("acts.csv", 2)
    assert "quotation mark" in bad.message
    assert isinstance(first, InteractionRecord)
    assert isinstance(short, BadLine)
    assert (short.line, short.message) == (4, "line: must have 3 columns, has 2")
    assert isinstance(last, InteractionRecord)


def test_reports_a_quotation_mark_that_is_open_at_the_end(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + 'ann,k1,1700000000\n"ann,k1,1700000000\n')

    good, bad = opened(path).interactions()

    assert isinstance(good, InteractionRecord)
    assert isinstance(bad, BadLine)


def test_reports_bytes_that_are_not_in_the_encoding_told(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER.encode() + b"j\xfcrg,k1,1700000000\nann,k1,1700000000\n")

    bad, good = opened(path, ReadOptions(encoding="utf-8")).interactions()

    assert isinstance(bad, BadLine)
    assert bad.message == "line: is not UTF-8"
    assert isinstance(good, InteractionRecord)


CELL = st.text(st.sampled_from('a,"\n|ü\t;'), min_size=1, max_size=5)


@given(
    rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6),
    is_packed=st.booleans(),
    data=st.data(),
)
def test_going_on_from_a_position_yields_the_rest(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    data: st.DataObject,
    *,
    is_packed: bool,
) -> None:
    quoted = ["a" + one.replace('"', '""') for row in rows for one in row]
    lines = [f'"{one}","{other}"\n' for one, other in zip(quoted[::2], quoted[1::2], strict=True)]
    content = ("item_id,title\n" + "".join(lines)).encode()
    folder = tmp_path_factory.mktemp("resume")
    name = "some.csv.gz" if is_packed else "some.csv"
    dataset = opened(written(folder, gzip.compress(content) if is_packed else content, name=name))
    everything = list(dataset.items())

    after = data.draw(st.sampled_from(everything)).position
    rest = [record for record in everything if record.position > after]

    assert list(dataset.items(after=after)) == rest
    assert dataset.items_total == everything[-1].position.offset == len(content)


def test_reads_movielens_tables_with_quoted_titles() -> None:
    dataset = MovieLensTables(DATA / "tables", now=NOW)

    assert items(dataset) == [
        Item(
            ItemId("1"),
            "Quiet Mill, The (1988)",
            attributes={"genres": ["Comedy", "Drama"], "year": 1988},
        ),
        Item(ItemId("11"), "Untitled Reel", attributes={"genres": []}),
    ]
    assert [(act.event_id, act.value) for act in acts(dataset)] == [
        ("movielens:7:1", 0.5),
        ("movielens:8:11", 4.0),
    ]


def test_reads_movielens_tables_separated_by_colons(tmp_path: Path) -> None:
    written(tmp_path, "5::Léa (1990)::Drama\n".encode("latin-1"), name="movies.dat")
    written(tmp_path, gzip.compress(b"7::5::3::978300760\n"), name="ratings.dat.gz")

    dataset = MovieLensTables(tmp_path, now=NOW)

    assert [item.title for item in items(dataset)] == ["Léa (1990)"]
    assert [(act.user, act.item_id, act.value) for act in acts(dataset)] == [("7", "5", 3.0)]


def test_names_the_other_kind_when_the_layout_is_that_of_ml_100k() -> None:
    with pytest.raises(InvalidInputError, match="lethe load ml-100k"):
        MovieLensTables(DATA / "films", now=NOW)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("demo", ReadOptions(encoding="utf-8")),
        ("ndjson", ReadOptions(title_column="name")),
        ("ml-100k", ReadOptions(time_unit=TimeUnit.MS)),
    ],
)
def test_refuses_an_option_that_means_nothing_for_the_kind(kind: str, options: ReadOptions) -> None:
    with pytest.raises(InvalidInputError, match=rf"--[a-z-]+: means nothing for the kind {kind}"):
        open_dataset(kind, None, now=NOW, options=options)
