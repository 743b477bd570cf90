"""Tamper fuzz: every byte of a certificate, and a sample of the bytes of a 1,000-leaf log.

``benchmarks/audit/tamper.py`` flips every byte of both.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from app.data.verify_lethe import (
    Wrong,
    check_tlog_proof,
    open_checkpoint,
    parse_key,
    read_leaf,
    verify_document,
    verify_log,
)
from app.domain.audit.checkpoint import tlog_proof
from app.domain.certificates.certificate import Certificate
from tests.audit_samples import (
    SALT,
    SIGNER,
    MemoryLog,
    completion_leaf,
    make_certificate,
    make_receipt,
    make_statement,
    rotated,
)

PINNED = [parse_key(SIGNER.key.encode())]
N_LEAVES = 1_000
N_WHOLE_LOGS = 40


def flipped(data: bytes, *, at: int, mask: int) -> bytes:
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def is_layout(data: bytes, *, at: int, mask: int) -> bool:
    """Whether white space between two values became other white space: no change of content."""
    return data[at : at + 1] == b"\n" and bytes([data[at] ^ mask]) in b" \t\r"


def test_every_flipped_byte_of_a_certificate_is_caught() -> None:
    data = make_certificate(signer=rotated(SIGNER, 2)).encode()
    rng = np.random.default_rng(1)
    assert verify_document(data, pinned=PINNED).n_wrong == 0

    missed = [
        at
        for at in range(len(data))
        if not verify_document(
            flipped(data, at=at, mask=(mask := int(rng.integers(1, 256)))), pinned=PINNED
        ).n_wrong
        and not is_layout(data, at=at, mask=mask)
    ]

    assert missed == []


def test_every_flipped_byte_of_a_receipt_is_caught() -> None:
    data = make_receipt().encode()
    rng = np.random.default_rng(4)
    for at in range(len(data)):
        mask = int(rng.integers(1, 256))
        report = verify_document(flipped(data, at=at, mask=mask), pinned=PINNED)
        assert report.n_wrong or is_layout(data, at=at, mask=mask), at


def test_every_flipped_byte_of_a_checkpoint_and_of_a_tlog_proof_is_caught() -> None:
    memory = MemoryLog()
    memory.fill(20)
    index = memory.append(completion_leaf(make_statement()))
    memory.fill(3)
    shown = memory.prove(index)
    certificate = Certificate.issue(make_statement(), proof=shown, salt=SALT, signer=SIGNER)
    document = json.loads(certificate.encode())
    proof = tlog_proof(index, shown.path, shown.checkpoint).encode()
    note = shown.checkpoint.encode().encode()
    check_tlog_proof(document, proof.decode(), PINNED)
    rng = np.random.default_rng(5)

    def is_caught(check: Callable[[str], object], data: bytes, at: int) -> bool:
        try:
            check(flipped(data, at=at, mask=int(rng.integers(1, 256))).decode())
        except (Wrong, UnicodeDecodeError):
            return True
        return False

    for at in range(len(note)):
        assert is_caught(lambda text: open_checkpoint(text, PINNED), note, at), at
    for at in range(len(proof)):
        assert is_caught(lambda text: check_tlog_proof(document, text, PINNED), proof, at), at


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
        seq, _ = read_leaf(line, number=number)
    except Wrong:
        return True
    return seq != number  # a flipped digit leaves a whole line, in the wrong place
