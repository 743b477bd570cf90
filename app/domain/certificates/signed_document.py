"""Signed documents: what receipts and certificates have in common.

A document is a *statement* in a signed envelope. The signature covers
``<format> LF <canonical JSON of the envelope without signature and salt>``. The first line keeps
the uses of the one key apart: no checkpoint or rotation begins with a document's format.
"""

from __future__ import annotations

import base64
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, Generic, Protocol, Self, TypeVar

from app.domain.audit.checkpoint import (
    SIGNATURE_BYTES,
    CheckpointError,
    IsSigned,
    KeyRotation,
    NoteSignature,
    Sign,
    SignedNote,
    VerifierKey,
    successors,
)
from app.domain.canonical_json import canonical_json, parse_canonical
from app.domain.errors import IntegrityError
from app.domain.strict_fields import Fields

SALT_BYTES: Final = 32
_DIGEST_BYTES: Final = 32
_SUBJECT_PREFIX: Final = b"\x02lethe-subject/v1\n"
"""0x00 and 0x01 begin leaves and nodes of the log, so no commitment is ever one of their hashes."""
_SALT_PREFIX: Final = b"\x03lethe-salt/v1\n"


class SignedDocumentError(IntegrityError):
    """A document cannot be signed as it is."""

    code: ClassVar[str] = "seal_invalid"


@dataclass(frozen=True, slots=True)
class SubjectCommitment:
    """Ties a document and a leaf to a user for those who hold the salt, and for nobody else.

    Args:
        commitment: SHA-256(0x02 || "lethe-subject/v1" || LF || salt || user id), 32 bytes.
        salt_hash: SHA-256(0x03 || "lethe-salt/v1" || LF || salt), 32 bytes: lets the signature
            vouch for the salt, and stay valid where the salt has been taken out.
    """

    commitment: bytes
    salt_hash: bytes

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"commitment": self.commitment.hex(), "salt_hash": self.salt_hash.hex()}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the JSON form; errors name the field."""
        subject = cls(
            commitment=fields.hex_bytes("commitment", n_bytes=_DIGEST_BYTES),
            salt_hash=fields.hex_bytes("salt_hash", n_bytes=_DIGEST_BYTES),
        )
        fields.finish()
        return subject


def commit_subject(user: str, *, salt: bytes) -> SubjectCommitment:
    """Commit to a user; at the edge, for the id goes no further.

    Args:
        user: the caller's id of the user.
        salt: 32 random bytes, made for this request, given out with its documents and then
            destroyed. Without it the commitment is noise, even to someone who can guess ids.

    Raises:
        SignedDocumentError: the salt has another length.
    """
    if len(salt) != SALT_BYTES:
        raise SignedDocumentError(f"the salt must have {SALT_BYTES} bytes")
    return SubjectCommitment(
        commitment=hashlib.sha256(_SUBJECT_PREFIX + salt + user.encode()).digest(),
        salt_hash=_salt_hash(salt),
    )


def _salt_hash(salt: bytes) -> bytes:
    return hashlib.sha256(_SALT_PREFIX + salt).digest()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that signs now, as one snapshot, so that a rotation cannot come in between.

    Args:
        key: its public half.
        rotations: notes that lead to it from the service's first key, oldest first.
        sign: signs with its private half.
    """

    key: VerifierKey
    rotations: tuple[SignedNote, ...]
    sign: Sign = field(repr=False)


def trusted_chain(signer: SigningKey, *, is_signed: IsSigned) -> tuple[VerifierKey, ...]:
    """Return every key the service has ever signed with, oldest first.

    Raises:
        CheckpointError: a rotation is not signed by both of its keys.
    """
    if not signer.rotations:
        return (signer.key,)
    first = KeyRotation.parse(signer.rotations[0].text).old
    return successors([first], rotations=signer.rotations, is_signed=is_signed)


@dataclass(frozen=True, slots=True)
class DocumentSignature:
    """Who signed a document, and the signature (64 bytes, Ed25519)."""

    key: VerifierKey
    rotations: tuple[SignedNote, ...]
    signature: bytes

    def to_json(self) -> dict[str, object]:
        """Return the envelope's fields that say who signed."""
        return {
            **_signer_json(self.key, self.rotations),
            "signature": base64.b64encode(self.signature).decode(),
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the envelope's fields; errors name the field."""
        try:
            key = VerifierKey.parse(fields.text("key"))
        except CheckpointError as error:
            fields.refuse("key", error.message)
        try:
            rotations = tuple(map(SignedNote.parse, fields.texts("key_history")))
        except CheckpointError as error:
            fields.refuse("key_history", error.message)
        return cls(key, rotations, fields.base64_bytes("signature", n_bytes=SIGNATURE_BYTES))


def sign_document(
    document_format: str, body: Mapping[str, object], *, signer: SigningKey
) -> DocumentSignature:
    """Sign ``body`` under the format's name.

    Raises:
        SignedDocumentError: the signer answers with another key's signature.
    """
    content = canonical_json({**body, **_signer_json(signer.key, signer.rotations)})
    made = signer.sign(f"{document_format}\n".encode() + content)
    if made != NoteSignature(signer.key.name, signer.key.key_id, made.signature):
        raise SignedDocumentError("the signer signed with another key than it says")
    return DocumentSignature(signer.key, signer.rotations, made.signature)


def signed_bytes(
    document_format: str, body: Mapping[str, object], *, signed: DocumentSignature
) -> bytes:
    """Return what a document's signature is over."""
    content = canonical_json({**body, **_signer_json(signed.key, signed.rotations)})
    return f"{document_format}\n".encode() + content


def _signer_json(key: VerifierKey, rotations: tuple[SignedNote, ...]) -> dict[str, object]:
    return {"key": key.encode(), "key_history": [note.encode() for note in rotations]}


class Statement(Protocol):
    """What a document says."""

    @property
    def subject(self) -> SubjectCommitment:
        """Whom it is about."""
        ...

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        ...


S = TypeVar("S", bound=Statement)


@dataclass(frozen=True)
class SignedDocument(ABC, Generic[S]):
    """A statement in its signed envelope.

    Args:
        salt: opens the commitment to the user; not signed itself (its hash is), so that it can
            be taken out. None where it has been.
    """

    statement: S
    signature: DocumentSignature
    salt: bytes | None

    def __post_init__(self) -> None:
        """Refuse a salt that is not the one that was committed with."""
        if self.salt is not None and _salt_hash(self.salt) != self.statement.subject.salt_hash:
            raise SignedDocumentError("the salt is not the one that was committed with")

    @abstractmethod
    def body(self) -> dict[str, object]:
        """Return the fields that are signed, but for those that say who signed."""

    def without_salt(self) -> Self:
        """Return the form that ties nobody to it; its signature holds all the same."""
        return replace(self, salt=None)

    def to_json(self) -> Mapping[str, object]:
        """Return the JSON form, names in canonical order."""
        salt = None if self.salt is None else self.salt.hex()
        document = {**self.signature.to_json(), **self.body(), "salt": salt}
        return dict(sorted(document.items()))

    def encode(self) -> bytes:
        """Return the file to hand out: canonical JSON and a line feed."""
        return canonical_json(self.to_json()) + b"\n"


def read_document(data: bytes, *, name: str) -> Fields:
    """Return the fields of a document of which ``data`` is the file.

    Raises:
        InvalidInputError: it is not canonical JSON.
    """
    return Fields(parse_canonical(data.removesuffix(b"\n"), name=name), path="")


def read_envelope(fields: Fields) -> tuple[DocumentSignature, bytes | None]:
    """Return who signed, and the salt; nothing else may be left in the document."""
    signature = DocumentSignature.from_fields(fields)
    salt = fields.optional_hex_bytes("salt", n_bytes=SALT_BYTES)
    fields.finish()
    return signature, salt
