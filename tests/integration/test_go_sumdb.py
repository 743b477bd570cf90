"""Somebody else's verifier: Go's sumdb packages take our keys, checkpoints and proofs."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from app.domain.audit.checkpoint import tlog_proof
from app.domain.audit.entries import Leaf, LeafKind
from app.domain.audit.merkle import consistency_proof
from tests.audit_samples import AT, SIGNER, MemoryLog
from tests.servers.go_sumdb import build_checker

KEY = SIGNER.key.encode()


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled checker."""
    return build_checker(tmp_path_factory.mktemp("go"))


def check(checker: Path, *arguments: str | Path) -> bool:
    command = [str(checker), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_go_takes_a_tlog_proof_and_refuses_every_damage_to_it(
    checker: Path, tmp_path: Path
) -> None:
    log = MemoryLog()
    log.fill(37)
    leaf, proof = tmp_path / "leaf", tmp_path / "certificate.tlog-proof"
    for index in (0, 20, 36):
        shown = log.prove(index)
        text = tlog_proof(index, shown.path, shown.checkpoint)
        leaf.write_bytes(shown.leaf)
        proof.write_text(text)
        assert check(checker, "inclusion", KEY, proof, leaf)

    for damaged in (
        text.replace("index 36", "index 35"),
        text.replace("\n37\n", "\n38\n"),
        text.replace(text.split("\n")[2], base64.b64encode(bytes(32)).decode()),
        text[:-9] + "AAAA" + text[-5:],
    ):
        proof.write_text(damaged)
        assert not check(checker, "inclusion", KEY, proof, leaf)
    proof.write_text(text)
    leaf.write_bytes(log.leaves[3].body)
    assert not check(checker, "inclusion", KEY, proof, leaf)


def test_go_takes_consistency_and_refuses_a_fork(checker: Path, tmp_path: Path) -> None:
    log, old, new = MemoryLog(), tmp_path / "old", tmp_path / "new"
    log.fill(21)
    old.write_text(log.checkpoint().encode())
    log.fill(30)
    new.write_text(log.checkpoint().encode())
    path = consistency_proof(
        21,
        second=51,
        read_node=lambda level, position: next(
            hashed for at, hashed in log.nodes.items() if at == (level, position)
        ),
    )
    steps = [base64.b64encode(step).decode() for step in path]
    assert check(checker, "consistency", KEY, old, new, *steps)

    fork = MemoryLog()
    fork.append(Leaf(LeafKind.USER_PROVED, AT, None, {}))
    fork.fill(50)
    new.write_text(fork.checkpoint().encode())
    assert not check(checker, "consistency", KEY, old, new, *steps)
