"""The one-file verifier on exported logs: what was done to one, and to which leaf, is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.data import verify_lethe
from app.domain.audit.merkle import leaf_hash
from app.domain.canonical_json import canonical_json
from tests.audit_samples import SIGNER, MemoryLog, make_signer

KEY = SIGNER.key.encode()
N_LEAVES = 60
EARLIER = 40

Lines = list[bytes]


def build() -> tuple[Lines, dict[str, str]]:
    log = MemoryLog()
    log.fill(EARLIER)
    earlier = log.checkpoint().encode()
    log.fill(N_LEAVES - EARLIER)
    notes = {"earlier": earlier, "newest": log.checkpoint().encode()}
    return log.export().splitlines(keepends=True), notes


LINES, NOTES = build()


def check(folder: Path, data: bytes, *names: str, key: str = KEY) -> int:
    (folder / "leaves.ndjson").write_bytes(data)
    arguments = ["--log", str(folder / "leaves.ndjson"), "--key", key]
    for name in names or ("newest",):
        (folder / name).write_text(NOTES[name], encoding="utf-8")
        arguments += ["--checkpoint", str(folder / name)]
    return verify_lethe.main(arguments)


def test_whole_log_is_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, b"".join(LINES), "earlier", "newest") == 0
    assert "60 leaves under 2 checkpoint(s)" in capsys.readouterr().out


def rewrite(line: bytes, **change: object) -> bytes:
    """A line as someone who knows the format would forge it: with its right hash."""
    fields = json.loads(line) | change
    fields["leaf_hash"] = leaf_hash(fields["leaf"].encode()).hex()
    return canonical_json(fields) + b"\n"


def renumbered(lines: Lines) -> Lines:
    return [rewrite(line, seq=number) for number, line in enumerate(lines)]


FORGED = b'{"at":"2026","kind":"audit.read","payload":{},"request_id":null}'.decode()
DAMAGES: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "dropped": (lambda n: n[:17] + n[18:], "leaves were dropped: number 17 to 17"),
    "dropped many": (lambda n: n[:3] + n[9:20] + n[31:], "number 3 to 8, 20 to 30"),
    "reordered": (
        lambda n: [*n[:5], n[6], n[5], *n[7:]],
        "leaves were reordered: number 6, 5",
    ),
    "inserted": (
        lambda n: [*n[:9], rewrite(n[9], leaf=FORGED), *n[9:]],
        "leaves were inserted: there is more than one number 9",
    ),
    "changed": (
        lambda n: [*n[:7], n[7].replace(b"n_memories", b"n_memoriez"), *n[8:]],
        "leaf 7 was changed",
    ),
    "cut": (lambda n: n[:-4], "cut off: 56 leaves, the checkpoint has 60"),
    "cut within": (lambda n: [*n[:-1], n[-1][:30]], "cut off: the last line does not end"),
    "garbage": (lambda n: [*n[:2], b"{}\n", *n[3:]], "line 3 is damaged: seq: missing"),
    "extended": (
        lambda n: [*n, rewrite(n[0], seq=60)],
        "leaves from 60 on stand under no checkpoint",
    ),
    "field": (
        lambda n: [canonical_json(json.loads(n[0]) | {"more": 1}) + b"\n", *n[1:]],
        "line 1 has fields that no leaf has",
    ),
    "emptied": (lambda n: [], "cut off: 0 leaves"),
}
FORGERIES: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "changed": (lambda n: [*n[:50], rewrite(n[50], leaf=FORGED), *n[51:]], "leaves 40 to 59"),
    "changed early": (lambda n: [*n[:8], rewrite(n[8], leaf=FORGED), *n[9:]], "leaves 0 to 39"),
    "dropped": (
        lambda n: renumbered([*n[:45], *n[46:], rewrite(n[0], seq=59)]),
        "leaves 40 to 59",
    ),
    "inserted": (
        lambda n: renumbered([*n[:44], rewrite(n[44], leaf=FORGED), *n[44:-1]]),
        "leaves 40 to 59",
    ),
    "reordered": (lambda n: renumbered([n[1], n[0], *n[2:]]), "leaves 0 to 39"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_leaf_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    damage, named = DAMAGES[name]

    assert check(tmp_path, b"".join(damage(LINES))) == 1
    assert named in capsys.readouterr().out


@pytest.mark.parametrize("name", FORGERIES)
def test_consistent_forgery_is_bracketed_by_the_checkpoints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    forge, named = FORGERIES[name]

    assert check(tmp_path, b"".join(forge(LINES)), "earlier", "newest") == 1
    assert named in capsys.readouterr().out


def test_the_layout_of_a_log_does_not_matter(tmp_path: Path) -> None:
    leaves = [json.loads(line) for line in LINES]
    for text in (
        json.dumps(leaves, indent=1),
        "\n".join(json.dumps(one, indent=2) for one in leaves),
    ):
        assert check(tmp_path, text.encode()) == 0
    note = tmp_path / "checkpoint.json"
    note.write_text(json.dumps({"origin": "x", "note": NOTES["newest"]}))
    assert verify_lethe.main([str(note), "--key", KEY]) == 0
    assert verify_lethe.main([str(tmp_path / "leaves.ndjson"), str(note), "--key", KEY]) == 0
    assert verify_lethe.main([str(tmp_path / "leaves.ndjson"), "--key", KEY]) == 2


def test_wrong_key_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, b"".join(LINES), key=make_signer(2).key.encode()) == 1
    assert "WRONG  checkpoint 1: wrong key" in capsys.readouterr().out


def test_huge_number_costs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [*LINES[:-1], rewrite(LINES[-1], seq=2**53 - 1)]

    assert check(tmp_path, b"".join(lines)) == 1
    assert "number 59 to 9007199254740990" in capsys.readouterr().out
