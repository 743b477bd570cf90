"""Tamper fuzz: every byte of what is given out, and a sample of the bytes of a 1,000-leaf log.

``benchmarks/audit/tamper.py`` flips every byte of both.
"""

from __future__ import annotations

import numpy as np
import pytest

from app.data.verify_lethe import Wrong, read_body, verify_log
from tests.audit_samples import MemoryLog
from tests.unit.verifier.refusals import BLOCK, PAGE, PINNED, table

N_LEAVES = 1_000
N_WHOLE_LOGS = 40


def flipped(data: bytes, *, at: int, mask: int) -> bytes:
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def test_whatever_is_done_is_refused_as_the_page_says() -> None:
    (told,) = BLOCK.findall(PAGE.read_text(encoding="utf-8"))

    found = table()

    assert "|  |" not in found, f"nobody refuses it:\n{found}"
    assert told == found, "run python -m tests.unit.verifier.refusals"


@pytest.fixture(scope="module")
def log() -> tuple[bytes, list[str]]:
    memory = MemoryLog()
    memory.fill(N_LEAVES)
    return memory.export(), [memory.checkpoint().encode()]


def test_flipped_byte_of_a_log_is_caught_wherever_it_is(log: tuple[bytes, list[str]]) -> None:
    data, notes = log
    rng = np.random.default_rng(2)
    assert verify_log(data, notes=notes, pinned=PINNED).n_wrong == 0

    for at in [*rng.choice(len(data), N_WHOLE_LOGS), len(data) - 1]:
        report = verify_log(
            flipped(data, at=at, mask=int(rng.integers(1, 256))), notes=notes, pinned=PINNED
        )
        assert report.n_wrong > 0, at


def test_flipped_byte_of_a_leaf_is_caught_by_its_line_alone(log: tuple[bytes, list[str]]) -> None:
    rng = np.random.default_rng(3)
    for number, line in enumerate(log[0].splitlines()):
        at = int(rng.integers(len(line)))
        damaged = flipped(line, at=at, mask=int(rng.integers(1, 256)))
        assert is_caught(damaged, number=number), number


def is_caught(line: bytes, *, number: int) -> bool:
    try:
        seq, _ = read_body(line, number=number)
    except Wrong:
        return True
    return seq != number  # a flipped digit leaves a whole line, in the wrong place
