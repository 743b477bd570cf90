"""The probe over real files: databases, logs, what cannot be read."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.adapters.probe.messages import (
    decode_asked,
    decode_reports,
    decode_stores,
    encode_asked,
    encode_reports,
    encode_stores,
)
from app.adapters.probe.process import FileProbe
from app.adapters.probe.stores import Asked, ProbedStore, StoreFormat, StoreSearch
from app.domain.erasure.residue import Finding, NeedleKind, Needles
from app.domain.errors import DependencyUnavailableError
from tests.planted import a_user

ROWS = frozenset({NeedleKind.ID, NeedleKind.PSEUDONYM})


def one(user: str, record_id: str) -> Needles:
    return Needles(ids=(record_id,), pseudonyms=(user,))


def sqlite_store(file: Path) -> ProbedStore:
    return ProbedStore("rows", StoreFormat.SQLITE, file, ROWS)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "lethe.sqlite3"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE interaction (record_id TEXT, pseudonym TEXT)")
    return file


def insert(file: Path, needles: Needles) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        row = (needles.ids[0], needles.pseudonyms[0])
        connection.execute("INSERT INTO interaction VALUES (?, ?)", row)


def delete(file: Path, needles: Needles, *, is_secure: bool) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"PRAGMA secure_delete = {'ON' if is_secure else 'OFF'}")
        connection.execute("DELETE FROM interaction WHERE record_id = ?", needles.ids)


@pytest.mark.parametrize("is_secure", [False, True])
def test_deleted_row_is_found_until_it_is_overwritten(rows: Path, *, is_secure: bool) -> None:
    mine, canary = one(a_user(), secrets.token_hex(16)), one(a_user(), secrets.token_hex(16))
    insert(rows, mine)
    insert(rows, canary)
    delete(rows, mine, is_secure=is_secure)

    ((report,),) = FileProbe([sqlite_store(rows)]).search([mine], control=canary)

    assert report.control_found
    assert report.is_clean is is_secure
    assert (report.files, report.bytes_read) == (1, rows.stat().st_size)
    assert report.patterns == 4


def test_rows_are_found_in_the_write_ahead_log(rows: Path) -> None:
    mine = one(a_user(), secrets.token_hex(16))
    with closing(sqlite3.connect(rows)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        with connection:
            row = (mine.ids[0], mine.pseudonyms[0])
            connection.execute("INSERT INTO interaction VALUES (?, ?)", row)

        ((report,),) = FileProbe([sqlite_store(rows)]).search([mine], control=mine)

    wal = "lethe.sqlite3-wal"
    expected = {Finding(NeedleKind.ID, wal, 1), Finding(NeedleKind.PSEUDONYM, wal, 1)}
    assert set(report.findings) == expected
    assert report.files == 3
    assert report.left == ((NeedleKind.ID, 1), (NeedleKind.PSEUDONYM, 1))
    assert report.residue == 2


def test_store_is_not_clean_when_its_control_is_missing(rows: Path) -> None:
    mine, canary = one(a_user(), secrets.token_hex(16)), one(a_user(), secrets.token_hex(16))

    ((without,),) = FileProbe([sqlite_store(rows)]).search([mine], control=canary)
    ((unarmed,),) = FileProbe([sqlite_store(rows)]).search([mine], control=Needles())

    assert not without.findings
    assert not without.is_clean
    assert not unarmed.is_clean


def test_each_erasure_is_told_its_own_findings_when_several_share_a_search(rows: Path) -> None:
    left, gone, canary = (one(a_user(), secrets.token_hex(16)) for _ in range(3))
    insert(rows, left)
    insert(rows, canary)

    (unclean,), (clean,) = FileProbe([sqlite_store(rows)]).search([left, gone], control=canary)

    assert unclean.residue == 2
    assert clean.is_clean
    assert (unclean.patterns, clean.patterns) == (4, 4)


def test_identifier_is_found_in_a_log_and_the_canary_is_taken_away(tmp_path: Path) -> None:
    mine, canary = one(a_user(), secrets.token_hex(16)), one(a_user(), secrets.token_hex(16))
    logs = tmp_path / "logs" / "old"
    logs.mkdir(parents=True)
    (logs / "a.log").write_text(f'{{"event": "served", "user": "{mine.pseudonyms[0]}"}}\n')
    (logs / "b.log").write_text('{"event": "started"}\n')
    store = ProbedStore("logs", StoreFormat.LOGS, tmp_path / "logs", ROWS)

    ((report,),) = FileProbe([store]).search([mine], control=canary)

    assert report.control_found
    assert report.findings == (Finding(NeedleKind.PSEUDONYM, "old/a.log", 1),)
    assert sorted(path.name for path in (tmp_path / "logs").rglob("*")) == ["a.log", "b.log", "old"]


@pytest.mark.parametrize("store_format", list(StoreFormat))
def test_search_fails_aloud_when_there_is_no_store(
    tmp_path: Path, store_format: StoreFormat
) -> None:
    store = ProbedStore("gone", store_format, tmp_path / "gone", ROWS)
    mine = one(a_user(), secrets.token_hex(16))

    with pytest.raises(DependencyUnavailableError, match="could not read") as caught:
        FileProbe([store]).search([mine], control=mine)

    assert caught.value.__cause__ is None
    assert mine.ids[0] not in str(caught.value)


def test_search_fails_aloud_when_an_index_is_of_another_format(tmp_path: Path) -> None:
    segment = tmp_path / "28da8f60-07f7-4ddb-8000-000000000000"
    segment.mkdir()
    (segment / "header.bin").write_bytes(bytes(60))
    store = ProbedStore("memory", StoreFormat.CHROMA, tmp_path, frozenset({NeedleKind.VECTOR}))
    mine = Needles(vectors=(np.ones(8, np.float32),))

    with pytest.raises(ValueError, match="another format"):
        StoreSearch([Asked([mine], Needles())]).search(store)


def test_task_and_reports_survive_the_pipe(tmp_path: Path) -> None:
    vector = np.linspace(-1, 1, 16, dtype=np.float32)
    needles = Needles(("tëxt",), ("document",), ("id",), ("user",), (b"\x00key",), (vector,))
    (tmp_path / "file").write_bytes(b"nothing")
    stores = [ProbedStore("logs", StoreFormat.DIRECTORY, tmp_path, ROWS)]

    back = decode_asked(encode_asked(Asked([needles], Needles(), b"key")))
    (found,), control = back.groups, back.control

    assert decode_stores(encode_stores(stores)) == stores
    assert back.key == b"key"
    assert (found.texts, found.documents, found.ids) == (("tëxt",), ("document",), ("id",))
    assert (found.pseudonyms, found.keys) == (("user",), (b"\x00key",))
    np.testing.assert_array_equal(found.vectors[0], vector)
    assert control.count(NeedleKind.VECTOR) == 0
    (reports,) = StoreSearch([Asked([needles, needles], Needles())]).search(stores[0])
    first, second = reports
    assert decode_reports(encode_reports([reports])) == [(first,), (second,)]
