"""Notes, keys and checkpoints against published ones, with real Ed25519.

Published: the note by PeterNeumann and EnochRoot of Go's sumdb/note, the example of
c2sp.org/tlog-checkpoint.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.system.signing import is_signed
from app.domain.audit.checkpoint import (
    Checkpoint,
    CheckpointError,
    KeyRotation,
    NoteSignature,
    Sign,
    SignedNote,
    VerifierKey,
    successors,
)

PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.
"""
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZ"
    "b6KE6RyyBwJnAM=\n"
)
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33W"
    "Wd1RvMc+QQ=\n"
)
NOTE = f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}"
CHECKPOINT = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGz\
Gku9nTo+zyWE+xeMcTOAYQ8=
"""
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def make_key(name: str, seed: bytes) -> tuple[VerifierKey, Sign]:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key = VerifierKey(name, private.public_key().public_bytes_raw())
    return key, lambda message: NoteSignature(name, key.key_id, private.sign(message))


KEYS = [make_key("lethe.example/log", bytes([number] * 32)) for number in range(4)]


def rotation(old: int, new: int, *signers: int) -> SignedNote:
    note = SignedNote(KeyRotation(KEYS[old][0], KEYS[new][0], AT).text())
    for number in signers:
        note = note.signed(KEYS[number][1])
    return note


def test_signing_gives_the_published_note() -> None:
    key, sign = make_key("PeterNeumann", PETER_SEED)

    assert key.encode() == PETER
    assert SignedNote(TEXT).signed(sign).encode() == f"{TEXT}\n{PETER_LINE}"


def test_published_signatures_verify_and_unknown_ones_are_ignored() -> None:
    note, peter, enoch = SignedNote.parse(NOTE), VerifierKey.parse(PETER), VerifierKey.parse(ENOCH)

    assert note.encode() == NOTE
    assert note.verify([peter, enoch], is_signed=is_signed) == [peter, enoch]
    assert note.verify([enoch], is_signed=is_signed) == [enoch]


def test_note_is_refused_when_no_trusted_key_signed() -> None:
    with pytest.raises(CheckpointError, match="no key that is trusted"):
        SignedNote.parse(NOTE).verify([], is_signed=is_signed)


def test_note_is_refused_when_one_trusted_signature_is_wrong() -> None:
    note = replace(SignedNote.parse(NOTE), text=TEXT.replace("don't", "do"))

    with pytest.raises(CheckpointError, match=r"PeterNeumann\+c74f20a3 does not fit"):
        note.verify([VerifierKey.parse(PETER)], is_signed=is_signed)


def test_published_checkpoint_is_read_and_written_back() -> None:
    note = SignedNote.parse(CHECKPOINT)
    checkpoint = Checkpoint.parse(note.text)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert note.encode() == CHECKPOINT
    assert checkpoint.text() == note.text


@pytest.mark.parametrize(
    "damaged",
    [
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}\n{PETER_LINE}"[:-1],
        f"\x01{TEXT}\n{PETER_LINE}",
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'Bad Name')}",
        f"{TEXT}\n{PETER_LINE}Unexpected line.\n",
        f"{TEXT}\n{PETER_LINE.replace('BwJnAM=', 'BwJnAN=')}",
        f"{TEXT}\n{PETER_LINE * 101}",
        f"{TEXT}\n— PeterNeumann x08gow==\n",
    ],
    ids=["unsigned", "blank", "cut", "control", "name", "line", "base64", "many", "empty"],
)
def test_note_is_refused_when_malformed(damaged: str) -> None:
    with pytest.raises(CheckpointError):
        SignedNote.parse(damaged)


@given(st.data())
def test_no_mangled_key_is_accepted(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(PETER)))
    end = data.draw(st.integers(start, len(PETER)))
    replacement = data.draw(st.text(max_size=3))
    mangled = PETER[:start] + replacement + PETER[end:]
    if mangled == PETER:
        return

    with pytest.raises(CheckpointError):
        VerifierKey.parse(mangled)


@pytest.mark.parametrize(
    "text",
    [
        "log\n1\n",
        f"log\n01\n{base64.b64encode(bytes(32)).decode()}\n",
        f"log\n-1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"lo g\n1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"log\n1\n{base64.b64encode(bytes(31)).decode()}\n",
        "log\n1\nAAAA!\n",
        f"log\n1\n{base64.b64encode(bytes(32)).decode()}\nextension\n",
    ],
)
def test_checkpoint_is_refused_when_malformed(text: str) -> None:
    with pytest.raises(CheckpointError):
        Checkpoint.parse(text)


def test_trust_follows_a_chain_of_rotations() -> None:
    chain = [rotation(0, 1, 0, 1), rotation(1, 2, 1, 2)]

    trusted = successors([KEYS[0][0]], rotations=chain, is_signed=is_signed)

    assert trusted == tuple(key for key, _ in KEYS[:3])
    assert successors([KEYS[1][0]], rotations=chain, is_signed=is_signed) == trusted[1:]


def test_trust_does_not_flow_backwards_or_from_strangers() -> None:
    chain = [rotation(3, 1, 3, 1), rotation(0, 2, 0, 2)]

    assert successors([KEYS[2][0]], rotations=chain, is_signed=is_signed) == (KEYS[2][0],)


@pytest.mark.parametrize("signers", [(0,), (1,), (1, 3), ()])
def test_rotation_is_refused_when_not_signed_by_both(signers: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError):
        successors([KEYS[0][0]], rotations=[rotation(0, 1, *signers)], is_signed=is_signed)


@pytest.mark.parametrize("damage", ["lethe-key-rotation/v2", "2026-03-01T12:30:00Z", "never"])
def test_rotation_is_refused_when_malformed(damage: str) -> None:
    header, old, new, at, _ = rotation(0, 1).text.split("\n")
    lines = [damage, old, new, at] if "rotation" in damage else [header, old, new, damage]

    with pytest.raises(CheckpointError):
        KeyRotation.parse("\n".join([*lines, ""]))


@given(st.integers(0, 10**17), st.binary(min_size=32, max_size=32))
def test_checkpoint_survives_the_round_trip(size: int, root: bytes) -> None:
    checkpoint = Checkpoint("lethe.example/log", size, root)

    assert Checkpoint.parse(checkpoint.text()) == checkpoint
