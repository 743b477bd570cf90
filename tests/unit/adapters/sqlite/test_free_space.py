"""What a SQLite file still holds of deleted rows, once its free bytes are overwritten."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.adapters.sqlite.free_space import overwrite_free_space
from app.adapters.sqlite.pages import UnknownLayoutError

_TABLE = """
    CREATE TABLE record (id INTEGER PRIMARY KEY, name TEXT, said BLOB);
    CREATE INDEX by_name ON record (name, said);
    CREATE TABLE pair (name TEXT PRIMARY KEY, said BLOB) WITHOUT ROWID;
"""


@contextmanager
def opened(file: Path, *, page: int = 4096) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, isolation_level=None, timeout=0.2)) as connection:
        connection.execute(f"PRAGMA page_size = {page}")
        connection.execute("PRAGMA secure_delete = OFF")
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("PRAGMA synchronous = OFF")  # nobody cuts the power here
        yield connection


def written_ahead(file: Path) -> None:
    """Have what is changed in a database written into a log first, from now on."""
    with opened(file) as connection:
        assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)


def cleaned(file: Path) -> int:
    with file.open("r+b") as stream, opened(file) as connection:
        return overwrite_free_space(connection, stream.fileno())


def word(number: int, size: int) -> bytes:
    """Return ``size`` bytes that no other number has in any place."""
    each = hashlib.sha256(str(number).encode()).hexdigest()[:24].encode()
    return (each * (size // len(each) + 1))[:size]


def filled(file: Path, *, seed: int, page: int, longest: int) -> tuple[set[int], set[int]]:
    """Make a database that was written, shortened and deleted in; return (left, gone)."""
    rng = random.Random(seed)  # noqa: S311 - reproducible tests
    numbers = list(range(1, 200))
    with opened(file, page=page) as connection:
        connection.executescript(_TABLE)
        connection.execute("BEGIN")
        for number in numbers:
            said = word(number, rng.choice([12, 60, 300, longest]))
            name = word(number, rng.choice([12, 40, longest // 2])).decode()
            connection.execute("INSERT INTO record VALUES (?, ?, ?)", (number, name, said))
            connection.execute("INSERT INTO pair VALUES (?, ?)", (name, said))
        connection.execute("COMMIT")
        gone = set(rng.sample(numbers, rng.choice([1, 100, 198])))
        for number in sorted(gone):
            (name,) = connection.execute(
                "SELECT name FROM record WHERE id = ?", (number,)
            ).fetchone()
            if rng.random() < 0.5:
                connection.execute("UPDATE record SET name='', said=x'00' WHERE id=?", (number,))
            connection.execute("DELETE FROM record WHERE id = ?", (number,))
            connection.execute("DELETE FROM pair WHERE name = ?", (name,))
            if rng.random() < 0.3:  # free pages are used again, and lists of them change
                fresh = 1_000 + number
                connection.execute("INSERT INTO record VALUES (?, '', ?)", (fresh, word(fresh, 99)))
    return set(numbers) - gone, gone


def content(file: Path) -> list[tuple[object, ...]]:
    with opened(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [
            row
            for table in ("record", "pair")
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1")  # noqa: S608 - ours
        ]


@pytest.mark.parametrize("page", [512, 1_024, 4_096, 65_536])
@pytest.mark.parametrize("longest", [200, 1_200, 20_000])
@pytest.mark.parametrize("mode", ["rollback", "wal"])
def test_only_what_is_deleted_is_overwritten(
    tmp_path: Path, page: int, longest: int, mode: str
) -> None:
    file = tmp_path / "a.sqlite3"
    left, gone = filled(file, seed=page + longest, page=page, longest=longest)
    if mode == "wal":
        written_ahead(file)
    before = content(file)

    cleaned(file)

    assert content(file) == before
    data = file.read_bytes()
    assert all(word(number, 12) in data for number in left)
    # Eight bytes: what the probe knows a string by.
    assert not [number for number in gone if word(number, 8) in data]
    assert cleaned(file) == 0


def test_deleted_rows_are_in_the_file_before(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite3"
    _, gone = filled(file, seed=1, page=4096, longest=9_000)
    data = file.read_bytes()

    assert [number for number in gone if word(number, 12) in data]


@pytest.mark.parametrize("mode", ["rollback", "wal"])
def test_readers_go_on_and_drop_what_they_keep(tmp_path: Path, mode: str) -> None:
    """A connection that wrote a page it had kept would bring the old bytes back."""
    file = tmp_path / "a.sqlite3"
    left, gone = filled(file, seed=2, page=4096, longest=300)
    if mode == "wal":
        written_ahead(file)
    with opened(file) as other:
        n_rows = other.execute("SELECT COUNT(*) FROM record").fetchone()
        other.execute("SELECT COUNT(name || hex(said)) FROM record").fetchone()

        assert cleaned(file) > 0

        assert other.execute("SELECT COUNT(*) FROM record").fetchone() == n_rows
        other.execute("UPDATE record SET name = name || '.'")
    data = file.read_bytes()
    assert all(word(number, 12) in data for number in left)
    assert not [number for number in gone if word(number, 12) in data]


def test_nothing_is_overwritten_while_another_writes(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite3"
    filled(file, seed=3, page=4096, longest=300)
    before = file.read_bytes()
    with opened(file) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            cleaned(file)
        assert file.read_bytes() == before


def test_a_page_whose_newest_version_is_in_the_log_is_cleaned(tmp_path: Path) -> None:
    """Who writes it next would start from there, and bring the old bytes back."""
    file = tmp_path / "a.sqlite3"
    left, gone = filled(file, seed=5, page=4096, longest=300)
    written_ahead(file)
    log = Path(f"{file}-wal")
    with opened(file) as other:
        other.execute("UPDATE record SET name = name || '.'")
        assert log.stat().st_size

        assert cleaned(file) > 0

        assert log.stat().st_size == 0
        other.execute("UPDATE record SET name = name || '.'")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = file.read_bytes()
    assert all(word(number, 12) in data for number in left)
    assert not [number for number in gone if word(number, 12) in data]


def test_a_log_that_somebody_reads_from_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite3"
    filled(file, seed=6, page=4096, longest=300)
    written_ahead(file)
    with opened(file) as other, opened(file) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM record").fetchone()
        other.execute("UPDATE record SET name = name || '.'")
        before = file.read_bytes()

        with pytest.raises(sqlite3.OperationalError, match="write-ahead log"):
            cleaned(file)

        assert file.read_bytes() == before
        reader.execute("COMMIT")
        assert cleaned(file) > 0


def test_a_file_that_vacuums_itself_is_not_cleaned(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite3"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = FULL")
        connection.executescript(_TABLE)
        with file.open("r+b") as stream, pytest.raises(UnknownLayoutError):
            overwrite_free_space(connection, stream.fileno())


def test_a_malformed_page_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite3"
    filled(file, seed=4, page=4096, longest=300)
    data = bytearray(file.read_bytes())
    data[4096 + 1 : 4096 + 3] = b"\xff\xff"  # where the second page's first free block is
    file.write_bytes(data)

    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        cleaned(file)
