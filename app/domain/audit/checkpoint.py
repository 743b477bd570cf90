"""Signed checkpoints of the audit log, in the formats that transparency logs share.

A checkpoint names the log, its size and its Merkle root; it is a *signed note*: text, an empty
line, and one line for each signature. Sources: c2sp.org/signed-note and
c2sp.org/tlog-checkpoint. Only the Ed25519 signature type (0x01) is used.

Signing and checking themselves are the adapters' business and passed in.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Final, Self

from app.domain.audit.merkle import HASH_BYTES
from app.domain.errors import IntegrityError
from app.domain.strict_fields import decode_base64, format_time

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
KEY_ID_BYTES: Final = 4
MAX_SIGNATURES: Final = 100
"""More lines are refused; the specification asks for at least 16, Go's reader stops at 100."""
_ED25519: Final = b"\x01"
_LINE: Final = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_NAME: Final = re.compile(r"[^\s+\x00-\x1f\x7f]+")
_TLOG_PROOF: Final = "c2sp.org/tlog-proof@v1"
_ROTATION: Final = "lethe-key-rotation/v1"


class CheckpointError(IntegrityError):
    """A note, key or checkpoint is malformed, or nobody trusted has signed it."""

    code: ClassVar[str] = "checkpoint_invalid"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name.

    Args:
        name: not empty, without white space and plus signs; the log's origin.
        public_key: 32 bytes, RFC 8032.
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        """Refuse what no note can carry."""
        if not _NAME.fullmatch(self.name) or len(self.public_key) != KEY_BYTES:
            raise CheckpointError("a key has a name without spaces or plus signs, and 32 bytes")

    @property
    def key_id(self) -> bytes:
        """Return the first 4 bytes of SHA-256(name || 0x0A || 0x01 || public key)."""
        content = self.name.encode() + b"\n" + _ED25519 + self.public_key
        return hashlib.sha256(content).digest()[:KEY_ID_BYTES]

    def encode(self) -> str:
        """Return ``<name>+<key id in hex>+<base64 of 0x01 and the key>``, as Go's note does."""
        encoded = base64.b64encode(_ED25519 + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``encode`` wrote.

        Raises:
            CheckpointError: it is not that, or the id is not that of the key.
        """
        name, _, rest = text.partition("+")
        data = decode_base64(rest.partition("+")[2])
        if data is None or data[:1] != _ED25519:
            raise CheckpointError("not an Ed25519 key of the form name+id+base64")
        key = cls(name, data[1:])
        if key.encode() != text:
            raise CheckpointError(f"the key's id is not {rest.partition('+')[0]}")
        return key


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature under a note; name and id together say by which key."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Return the line as it stands under the note, without the line feed."""
        return f"— {self.name} {base64.b64encode(self.key_id + self.signature).decode()}"


Sign = Callable[[bytes], NoteSignature]
"""Signs a message with the present key."""
IsSigned = Callable[[VerifierKey, bytes, bytes], bool]
"""(key, signature, message) -> whether the signature is the key's over the message."""


@dataclass(frozen=True, slots=True)
class SignedNote:
    """Text with signatures.

    Args:
        text: ends in a line feed, no other control characters; what is signed, in UTF-8.
    """

    text: str
    signatures: tuple[NoteSignature, ...] = ()

    def __post_init__(self) -> None:
        """Refuse text that would be read back as something else."""
        is_plain = all(char >= " " or char == "\n" for char in self.text)
        if not self.text.endswith("\n") or not is_plain:
            raise CheckpointError("a note's text ends in a line feed and has no control characters")

    def signed(self, sign: Sign) -> Self:
        """Return the note with one signature more, below the others."""
        return replace(self, signatures=(*self.signatures, sign(self.text.encode())))

    def encode(self) -> str:
        """Return the note as text."""
        return f"{self.text}\n" + "".join(f"{each.line()}\n" for each in self.signatures)

    @classmethod
    def parse(cls, encoded: str) -> Self:
        """Read what ``encode`` wrote.

        Raises:
            CheckpointError: the note is malformed; says how.
        """
        text, separator, below = encoded.rpartition("\n\n")
        if not separator or not below.endswith("\n"):
            raise CheckpointError("a note has no signatures, or is cut off")
        lines = below.removesuffix("\n").split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise CheckpointError(f"a note has more than {MAX_SIGNATURES} signatures")
        return cls(f"{text}\n", tuple(map(_parse_line, lines)))

    def verify(self, keys: Iterable[VerifierKey], *, is_signed: IsSigned) -> list[VerifierKey]:
        """Return those of ``keys`` that signed; signatures of other keys are ignored.

        Raises:
            CheckpointError: none of them has, or a signature under one's name and id is not its.
        """
        known = {(key.name, key.key_id): key for key in keys}
        signers = []
        for each in self.signatures:
            key = known.get((each.name, each.key_id))
            if key is None:
                continue
            if not is_signed(key, each.signature, self.text.encode()):
                raise CheckpointError(f"the signature of {_short(key)} does not fit the text")
            signers.append(key)
        if not signers:
            raise CheckpointError("signed by no key that is trusted")
        return signers


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of the log at one size.

    Args:
        origin: the log's name.
        size: number of leaves, >= 0.
        root: RFC 9162 root over them, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        """Refuse what the text form cannot carry."""
        if not _NAME.fullmatch(self.origin) or self.size < 0 or len(self.root) != HASH_BYTES:
            raise CheckpointError("a checkpoint has an origin, a size from 0 up and a 32-byte root")

    def text(self) -> str:
        """Return the three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``text`` wrote; extension lines are refused, for nobody could check them.

        Raises:
            CheckpointError: it is not that; says which line.
        """
        lines = text.removesuffix("\n").split("\n")
        if len(lines) != 3:  # noqa: PLR2004 - origin, size, root: tlog-checkpoint, "Note text"
            raise CheckpointError("a checkpoint has three lines: origin, size, root")
        origin, size, encoded = lines
        if not _DECIMAL.fullmatch(size):
            raise CheckpointError("the checkpoint's size is not a plain decimal number")
        root = decode_base64(encoded)
        if root is None:
            raise CheckpointError("the checkpoint's root is not base64")
        return cls(origin, int(size), root)


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint, the note that carries it with its signatures, and when it was made."""

    checkpoint: Checkpoint
    note: SignedNote
    at: datetime


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """The statement by which an old key names its successor; signed by both."""

    old: VerifierKey
    new: VerifierKey
    at: datetime

    def text(self) -> str:
        """Return the lines that both keys sign."""
        return f"{_ROTATION}\n{self.old.encode()}\n{self.new.encode()}\n{format_time(self.at)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``text`` wrote.

        Raises:
            CheckpointError: it is not that.
        """
        match text.split("\n"):
            case [header, old, new, at, ""] if header == _ROTATION:
                rotation = cls(VerifierKey.parse(old), VerifierKey.parse(new), _parse_time(at))
                if rotation.text() == text:
                    return rotation
        raise CheckpointError("not a statement of key rotation")


def tlog_proof(index: int, path: Sequence[bytes], checkpoint: SignedNote) -> str:
    """Return a proof of inclusion as the file that c2sp.org/tlog-proof describes."""
    steps = "".join(f"{base64.b64encode(step).decode()}\n" for step in path)
    return f"{_TLOG_PROOF}\nindex {index}\n{steps}\n{checkpoint.encode()}"


def successors(
    pinned: Sequence[VerifierKey], *, rotations: Iterable[SignedNote], is_signed: IsSigned
) -> tuple[VerifierKey, ...]:
    """Return ``pinned`` and every key that a chain of rotations leads to from one of them.

    ``rotations`` are notes over ``KeyRotation``, oldest first.

    Raises:
        CheckpointError: a rotation of a trusted key is malformed or not signed by both.
    """
    trusted = list(pinned)
    for note in rotations:
        rotation = KeyRotation.parse(note.text)
        if rotation.old not in trusted or rotation.new in trusted:
            continue
        signers = note.verify([rotation.old, rotation.new], is_signed=is_signed)
        if rotation.old not in signers or rotation.new not in signers:
            raise CheckpointError("a key rotation is not signed by both keys")
        trusted.append(rotation.new)
    return tuple(trusted)


def _parse_line(line: str) -> NoteSignature:
    match = _LINE.fullmatch(line)
    data = decode_base64(match[2]) if match else None
    if match is None or data is None or len(data) <= KEY_ID_BYTES:
        raise CheckpointError("a signature line is malformed")
    return NoteSignature(match[1], data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def _parse_time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise CheckpointError("a key rotation has no time") from error


def _short(key: VerifierKey) -> str:
    return f"{key.name}+{key.key_id.hex()}"
