from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.datasets.lines import MAX_LINE_BYTES, read_records
from app.adapters.datasets.ndjson import NdjsonDataset
from app.domain.errors import InvalidInputError
from app.domain.models import Item, ItemId, Kind
from app.ports.dataset import BadLine, InteractionRecord, ItemRecord, Position

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WIRE = Path(__file__).parents[3] / "data" / "datasets" / "wire"
VIEW = {
    "event_id": "e",
    "user": "ann",
    "item_id": "i",
    "kind": "view",
    "occurred_at": "2024-03-01T10:00:00Z",
}
GOOD = json.dumps(VIEW)


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "some.ndjson"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path) -> list[InteractionRecord | BadLine]:
    return list(NdjsonDataset(path, now=NOW).interactions())


def test_reads_a_folder_of_items_and_interactions() -> None:
    dataset = NdjsonDataset(WIRE, now=NOW)

    items = [record.item for record in dataset.items() if isinstance(record, ItemRecord)]
    acts = [r.interaction for r in dataset.interactions() if isinstance(r, InteractionRecord)]

    assert items == [
        Item(
            ItemId("harbour"),
            "Salt and Harbour (1990)",
            "Two brothers keep a ferry.",
            {"year": 1990, "genres": ["drama"]},
        ),
        Item(ItemId("mill"), "The Quiet Mill"),
    ]
    assert [(act.event_id, act.kind, act.text) for act in acts] == [
        ("e1", Kind.RATING, None),
        ("e2", Kind.NOTE, "I like ferries."),
        ("e3", Kind.VIEW, None),
    ]
    assert acts[1].occurred_at == datetime(2024, 3, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "n_items", "n_interactions"),
    [("items.ndjson", 2, 0), ("interactions.ndjson", 0, 3)],
)
def test_tells_a_file_of_items_from_one_of_interactions(
    name: str, n_items: int, n_interactions: int
) -> None:
    dataset = NdjsonDataset(WIRE / name, now=NOW)

    assert len(list(dataset.items())) == n_items
    assert len(list(dataset.interactions())) == n_interactions
    assert (dataset.items_total > 0, dataset.interactions_total > 0) == (
        n_items > 0,
        n_interactions > 0,
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line: is not JSON"),
        ("[" * 100_000, "line: is not JSON"),
        ("9" * 5_000, "line: is not JSON"),
        ("[]", "body: must be a JSON object"),
        (json.dumps({**VIEW, "age": 44}), "body: holds an unknown field"),
        (json.dumps({**VIEW, "kind": "stare"}), "kind: must be one of"),
        (json.dumps({**VIEW, "kind": "rating"}), "value: is required for a rating"),
        (json.dumps({**VIEW, "occurred_at": "2024-03-01"}), "occurred_at: must have a UTC offset"),
        (json.dumps({**VIEW, "value": float("nan")}), "value: must lie between"),
        (json.dumps({**VIEW, "user": None}), "user: is required"),
    ],
)
def test_reports_a_bad_line_and_goes_on(tmp_path: Path, line: str, message: str) -> None:
    first, bad, last = read(written(tmp_path, f"{GOOD}\n{line}\n{GOOD}\n"))

    assert isinstance(first, InteractionRecord)
    assert isinstance(last, InteractionRecord)
    assert isinstance(bad, BadLine)
    assert (bad.file, bad.line) == ("some.ndjson", 2)
    assert message in bad.message


def test_never_repeats_a_value_in_a_message(tmp_path: Path) -> None:
    line = json.dumps({**VIEW, "user": "secret-name\x00", "value": "secret-value"})

    (_, bad) = read(written(tmp_path, f"{GOOD}\n{line}"))

    assert isinstance(bad, BadLine)
    assert "secret" not in bad.message


def test_reports_bytes_that_are_no_utf_8(tmp_path: Path) -> None:
    bad, good = read(written(tmp_path, b"\xff\xfe\n" + GOOD.encode()))

    assert bad == BadLine("some.ndjson", Position(line=1, offset=3), "line: is not UTF-8")
    assert isinstance(good, InteractionRecord)


def test_reads_past_bom_crlf_blank_lines_and_a_missing_last_line_end(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + f"{GOOD}\r\n\r\n  \r\n{GOOD}".encode()

    records = read(written(tmp_path, content))

    assert [type(record) for record in records] == [InteractionRecord, InteractionRecord]
    assert [record.position.line for record in records] == [1, 4]


def test_reports_a_line_that_is_too_long_and_goes_on(tmp_path: Path) -> None:
    long = '"' + "x" * (3 * MAX_LINE_BYTES) + '"'

    bad, good = read(written(tmp_path, f"{long}\n{GOOD}\n"))

    assert isinstance(bad, BadLine)
    assert (bad.line, bad.message) == (1, f"line: has more than {MAX_LINE_BYTES} bytes")
    assert isinstance(good, InteractionRecord)
    assert good.position.line == 2


def test_reads_a_line_that_is_just_short_enough(tmp_path: Path) -> None:
    padded = GOOD + " " * (MAX_LINE_BYTES - len(GOOD) - 1) + "\n"

    records = read(written(tmp_path, padded * 2))

    assert [type(record) for record in records] == [InteractionRecord, InteractionRecord]


def test_holds_one_line_at_a_time(tmp_path: Path) -> None:
    path = written(tmp_path, f"{GOOD}\n" * 10_000)
    dataset = NdjsonDataset(path, now=NOW)

    tracemalloc.start()
    n_records = sum(1 for _ in dataset.interactions())
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert n_records == 10_000
    assert peak_bytes < dataset.interactions_total / 8


@given(
    lines=st.lists(st.sampled_from([GOOD, "{", "", "\xff", '{"kind": 1}']), min_size=1),
    end=st.sampled_from(["\n", "\r\n"]),
    is_ended=st.booleans(),
    data=st.data(),
)
def test_going_on_from_a_position_yields_the_rest(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    end: str,
    data: st.DataObject,
    *,
    is_ended: bool,
) -> None:
    content = (end.join(lines) + end * is_ended).encode("latin-1") or b"\n"
    path = tmp_path_factory.mktemp("resume") / "some.ndjson"
    path.write_bytes(content)
    dataset = NdjsonDataset(path, now=NOW)
    everything = list(dataset.interactions())
    n_read = data.draw(st.integers(0, len(everything)))

    after = everything[n_read - 1].position if n_read else Position(line=0, offset=0)

    assert list(dataset.interactions(after=after)) == everything[n_read:]


@pytest.mark.parametrize("offset", [3, 10_000])
def test_refuses_a_position_that_is_no_line_end(tmp_path: Path, offset: int) -> None:
    dataset = NdjsonDataset(written(tmp_path, f"{GOOD}\n{GOOD}\n"), now=NOW)

    with pytest.raises(InvalidInputError, match=r"some\.ndjson has changed"):
        list(dataset.interactions(after=Position(line=1, offset=offset)))


def test_last_position_is_the_stated_total() -> None:
    dataset = NdjsonDataset(WIRE, now=NOW)

    assert list(dataset.items())[-1].position.offset == dataset.items_total
    assert list(dataset.interactions())[-1].position.offset == dataset.interactions_total


def test_reports_every_line_of_a_file_without_an_object(tmp_path: Path) -> None:
    assert [type(record) for record in read(written(tmp_path, "x\ny\n"))] == [BadLine, BadLine]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "there is no file some.ndjson"), (b"", "some.ndjson is empty")],
)
def test_refuses_a_file_that_is_missing_or_empty(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "some.ndjson" if content is None else written(tmp_path, content)

    with pytest.raises(InvalidInputError, match=message):
        NdjsonDataset(path, now=NOW)


def test_refuses_a_folder_without_either_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="neither items"):
        NdjsonDataset(tmp_path, now=NOW)


def test_refuses_a_file_that_vanished_meanwhile(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="there is no file gone"):
        list(read_records(tmp_path / "gone", make=lambda text, _: text))
