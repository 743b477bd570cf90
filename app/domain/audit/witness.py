"""What a witness does: sign a checkpoint only if it continues the one it signed last.

Sources: c2sp.org/tlog-witness and c2sp.org/tlog-cosignature, version 1 (Ed25519).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from app.domain.audit.checkpoint import (
    KEY_ID_BYTES,
    Checkpoint,
    CheckpointError,
    IsSigned,
    NoteSignature,
    SignedNote,
    VerifierKey,
)
from app.domain.audit.merkle import ProofError, verify_consistency
from app.domain.strict_fields import decode_base64

_COSIGNATURE: Final = b"\x04"
_MOST_STEPS: Final = 63
_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,17})", re.ASCII)


class RefusedError(Exception):
    """The witness does not sign.

    Args:
        status: HTTP status that says why, as the protocol has it.
        body: size that it saw last, with 409.
    """

    def __init__(self, status: int, body: str = "") -> None:
        """Keep both."""
        super().__init__(f"refused with {status}")
        self.status, self.body = status, body


def witness_key(name: str, public_key: bytes) -> str:
    """Return a witness's key as ``name+id+base64``."""
    key_id = _key_id(name, public_key).hex()
    return f"{name}+{key_id}+{base64.b64encode(_COSIGNATURE + public_key).decode()}"


def _key_id(name: str, public_key: bytes) -> bytes:
    content = name.encode() + b"\n" + _COSIGNATURE + public_key
    return hashlib.sha256(content).digest()[:KEY_ID_BYTES]


def cosign(
    note: SignedNote, *, name: str, public_key: bytes, at_s: int, sign: Callable[[bytes], bytes]
) -> NoteSignature:
    """Return the witness's signature under a checkpoint, with the time in it.

    Args:
        note: the checkpoint.
        name: the witness's.
        public_key: the witness's, 32 bytes.
        at_s: seconds since 1970.
        sign: returns the Ed25519 signature of a message, 64 bytes.
    """
    message = b"cosignature/v1\ntime %d\n" % at_s + note.text.encode()
    return NoteSignature(name, _key_id(name, public_key), at_s.to_bytes(8) + sign(message))


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """What a log asks its witness."""

    old: int
    path: tuple[bytes, ...]
    note: SignedNote
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, body: str) -> Self:
        """Read the body of a request.

        Raises:
            RefusedError: it is malformed.
        """
        head, blank, encoded = body.partition("\n\n")
        first, *lines = head.split("\n")
        match, steps = _OLD.fullmatch(first), [decode_base64(line) for line in lines]
        path = tuple(step for step in steps if step is not None)
        if not blank or match is None or len(path) != len(steps) or len(path) > _MOST_STEPS:
            raise RefusedError(400)
        try:
            note = SignedNote.parse(encoded)
            checkpoint = Checkpoint.parse(note.text)
        except CheckpointError as error:
            raise RefusedError(400) from error
        if int(match[1]) > checkpoint.size:
            raise RefusedError(400)
        return cls(int(match[1]), path, note, checkpoint)


def require_follows(
    asked: AddCheckpoint,
    last: Checkpoint | None,
    *,
    logs: Sequence[VerifierKey],
    is_signed: IsSigned,
) -> None:
    """Check that a checkpoint is of a known log and continues what was seen of it last.

    A log's successors, ``origin/N-xxxxxxxx``, are known with it, each a log of its own.

    Raises:
        RefusedError: with the protocol's status: 404, 403, 409 or 422.
    """
    origin = asked.checkpoint.origin
    keys = [key for key in logs if origin == key.name or origin.startswith(f"{key.name}/")]
    if not keys:
        raise RefusedError(404)
    try:
        asked.note.verify(keys, is_signed=is_signed)
    except CheckpointError as error:
        raise RefusedError(403) from error
    seen = last.size if last else 0
    if asked.old != seen:
        raise RefusedError(409, f"{seen}\n")
    if last is None or last.size == 0:
        if asked.path:
            raise RefusedError(422)
        return
    if asked.checkpoint.size == seen and asked.checkpoint.root != last.root:
        raise RefusedError(409, f"{seen}\n")
    try:
        verify_consistency(
            first=seen,
            second=asked.checkpoint.size,
            proof=asked.path,
            first_root=last.root,
            second_root=asked.checkpoint.root,
        )
    except ProofError as error:
        raise RefusedError(422) from error
