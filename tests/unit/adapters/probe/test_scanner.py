from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.probe import scanner
from app.adapters.probe.scanner import Scanner

# Few letters, so that strings overlap, repeat and contain each other.
WORDS = st.lists(st.binary(min_size=8, max_size=20).map(lambda b: bytes(x % 2 for x in b)))
HAYSTACKS = st.binary(max_size=400).map(lambda b: bytes(x % 2 for x in b))


def found_in(data: bytes, strings: list[bytes]) -> set[int]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        file.write_bytes(data)
        found, n_read = Scanner(strings).scan(file)
    assert n_read == len(data)
    return found


@given(WORDS, HAYSTACKS)
@settings(deadline=None)
def test_finds_exactly_what_is_there(strings: list[bytes], data: bytes) -> None:
    assert found_in(data, strings) == {i for i, s in enumerate(strings) if s in data}


@pytest.mark.parametrize("piece", [16, 17, 64])
def test_finds_what_lies_across_reads(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(scanner, "_READ_BYTES", piece)
    data = np.random.default_rng(5).bytes(500)
    strings = [data[start : start + 40] for start in range(460)]

    assert found_in(data, [*strings, b"never there"]) == set(range(460))


def test_finds_the_first_and_the_last_bytes_of_a_large_file() -> None:
    data = np.random.default_rng(6).bytes((9 << 20) + 5)

    assert found_in(data, [data[:8], data[-8:], data[(8 << 20) - 4 :][:8], bytes(8)]) == {0, 1, 2}


def test_nothing_is_found_when_nothing_is_sought() -> None:
    assert found_in(b"anything at all", []) == set()
    assert found_in(b"", [b"12345678"]) == set()


def test_short_strings_are_refused() -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        Scanner([b"1234567"])
