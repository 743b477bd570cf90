from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.adapters.probe.fts5 import FullTextIndex

N_ROWS = 3_000


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        opened.execute("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize='trigram')")
        opened.execute("CREATE VIRTUAL TABLE view USING fts5vocab(texts, 'instance')")
        letters = random.Random(1)  # noqa: S311 - reproducible, not secret
        for start in range(0, N_ROWS, 250):
            opened.execute("BEGIN")
            for row in range(start + 1, start + 251):
                text = "".join(letters.choices("abcdefgh", k=60))
                opened.execute("INSERT INTO texts(rowid, text) VALUES (?, ?)", (row, text))
            opened.execute("COMMIT")
        yield opened


def visible(connection: sqlite3.Connection) -> dict[str, set[int]]:
    rows: dict[str, set[int]] = defaultdict(set)
    for term, row in connection.execute("SELECT term, doc FROM view"):
        rows[term].add(row)
    return rows


def lying(connection: sqlite3.Connection, terms: list[str]) -> dict[str, set[int]]:
    index = FullTextIndex(connection, table="texts")
    return {term: set(index.rowids(term).tolist()) for term in terms}


def test_postings_are_those_of_sqlite_when_nothing_is_deleted(
    connection: sqlite3.Connection,
) -> None:
    expected = visible(connection)

    assert len(FullTextIndex(connection, table="texts").segments()) > 1
    assert len(expected) == 512
    assert lying(connection, list(expected)) == expected


def test_deleted_rows_are_seen_that_sqlite_hides(connection: sqlite3.Connection) -> None:
    terms = list(visible(connection))
    connection.execute("DELETE FROM texts WHERE rowid = 17")

    assert not any(17 in rows for rows in visible(connection).values())
    assert any(17 in rows for rows in lying(connection, terms).values())
    assert not FullTextIndex(connection, table="texts").is_live(17)
    assert FullTextIndex(connection, table="texts").is_live(18)


def test_deleted_rows_are_gone_when_optimised(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM texts WHERE rowid BETWEEN 10 AND 40")
    connection.execute("INSERT INTO texts(texts) VALUES ('optimize')")
    expected = visible(connection)

    assert len(FullTextIndex(connection, table="texts").segments()) == 1
    assert lying(connection, list(expected)) == expected


def test_nothing_lies_in_an_empty_index() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize='trigram')")

        assert lying(connection, ["abc"]) == {"abc": set()}
