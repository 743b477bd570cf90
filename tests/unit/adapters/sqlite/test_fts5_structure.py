from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from app.adapters.sqlite.fts5_structure import STRUCTURE_ROW, Segment, is_purged, levels

ONE, TWO = Segment(1, 1, 6), Segment(300, 2, 4)


def structure_of(found: list[list[Segment]]) -> bytes:
    """Write a structure record; numbers below 2^14 only."""
    numbers = [len(found), sum(map(len, found)), 700]
    for level in found:
        numbers += [0, len(level)]
        for one in level:
            numbers += [one.segment_id, one.first_page, one.last_page]
    short = [bytes([n]) if n < 128 else bytes([128 | n >> 7, n & 127]) for n in numbers]
    return bytes(4) + b"".join(short)


@pytest.mark.parametrize(
    ("found", "purged"),
    [
        ([], True),
        ([[], [], []], True),
        ([[ONE]], True),
        ([[], [], [ONE]], True),
        ([[], [ONE], []], False),
        ([[ONE], [TWO]], False),
        ([[], [ONE, TWO]], False),
    ],
    ids=str,
)
def test_markers_are_gone_when_all_is_one_segment_of_the_last_level(
    found: list[list[Segment]], *, purged: bool
) -> None:
    structure = structure_of(found)

    assert levels(structure) == found
    assert is_purged(structure) == purged


def test_a_merge_of_what_sqlite_wrote_is_purged() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:

        def structure() -> bytes:
            sql = "SELECT block FROM texts_data WHERE id = ?"
            return bytes(connection.execute(sql, (STRUCTURE_ROW,)).fetchone()[0])

        connection.execute("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize='trigram')")
        assert is_purged(structure())
        for text in ("whales at sea", "stars and whales"):
            connection.execute("INSERT INTO texts(text) VALUES (?)", (text,))
        assert not is_purged(structure())

        connection.execute("INSERT INTO texts(texts) VALUES ('optimize')")

        assert is_purged(structure())
