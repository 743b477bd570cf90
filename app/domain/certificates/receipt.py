"""The receipt: what was received, when, and by when it will be done; signed, given at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from app.domain.canonical_json import canonical_json, parse_canonical
from app.domain.certificates.signed_document import (
    SALT_BYTES,
    Seal,
    SignedDocumentError,
    SigningKey,
    SubjectCommitment,
    require_salt,
    salt_to_json,
    sealed_message,
)
from app.domain.erasure.scope import SCOPE_KINDS
from app.domain.errors import FieldError, InvalidInputError
from app.domain.models import RequestId
from app.domain.strict_fields import Fields, format_time

RECEIPT_FORMAT: Final = "lethe-receipt/v1"


@dataclass(frozen=True, slots=True)
class ReceiptStatement:
    """What the service says it has received.

    Args:
        origin: the audit log's name.
        scope_kind: what kind of data is to go; which data would be personal data.
        leaf_index: 0-based number of the leaf that recorded the receipt.
        leaf_hash: its RFC 9162 hash, 32 bytes; the log has to hold it there for ever.
    """

    origin: str
    request_id: RequestId
    scope_kind: str
    subject: SubjectCommitment
    received_at: datetime
    due_at: datetime
    leaf_index: int
    leaf_hash: bytes

    def __post_init__(self) -> None:
        """Refuse a statement that contradicts itself."""
        if self.scope_kind not in SCOPE_KINDS:
            raise InvalidInputError(FieldError("statement.scope_kind", "no such scope"))
        if self.due_at <= self.received_at:
            raise InvalidInputError(FieldError("statement.due_at", "not after received_at"))

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "due_at": format_time(self.due_at),
            "format": RECEIPT_FORMAT,
            "leaf_hash": self.leaf_hash.hex(),
            "leaf_index": self.leaf_index,
            "origin": self.origin,
            "received_at": format_time(self.received_at),
            "request_id": self.request_id,
            "scope_kind": self.scope_kind,
            "subject": self.subject.to_json(),
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the JSON form; errors name the field."""
        fields.constant("format", expected=RECEIPT_FORMAT)
        statement = cls(
            origin=fields.text("origin"),
            request_id=RequestId(fields.text("request_id")),
            scope_kind=fields.text("scope_kind"),
            subject=SubjectCommitment.from_fields(fields.inner("subject")),
            received_at=fields.time("received_at"),
            due_at=fields.time("due_at"),
            leaf_index=fields.count("leaf_index"),
            leaf_hash=fields.hex_bytes("leaf_hash", n_bytes=32),
        )
        fields.finish()
        return statement


@dataclass(frozen=True, slots=True)
class Receipt:
    """A signed receipt.

    Args:
        salt: opens the commitment to the user; not signed itself (its hash is), so that it can
            be taken out. None where it has been.
    """

    statement: ReceiptStatement
    seal: Seal
    salt: bytes | None

    def __post_init__(self) -> None:
        """Refuse a salt that opens nothing."""
        require_salt(self.salt, subject=self.statement.subject)

    @classmethod
    def issue(cls, statement: ReceiptStatement, *, salt: bytes | None, signer: SigningKey) -> Self:
        """Sign ``statement``."""
        seal = Seal.make(
            signer, document_format=RECEIPT_FORMAT, body={"statement": statement.to_json()}
        )
        return cls(statement, seal, salt)

    def signed_message(self) -> bytes:
        """Return the bytes under the signature."""
        return sealed_message(
            RECEIPT_FORMAT,
            body={"statement": self.statement.to_json()},
            key=self.seal.key,
            rotations=self.seal.rotations,
        )

    def without_salt(self) -> Self:
        """Return the form that ties nobody to it; its signature holds all the same."""
        return replace(self, salt=None)

    def to_json(self) -> Mapping[str, object]:
        """Return the JSON form, names in canonical order."""
        document = {
            **self.seal.to_json(),
            "salt": salt_to_json(self.salt),
            "statement": self.statement.to_json(),
        }
        return dict(sorted(document.items()))

    def encode(self) -> bytes:
        """Return the file to hand out: canonical JSON and a line feed."""
        return canonical_json(self.to_json()) + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what ``encode`` wrote. The signature is not checked here.

        Raises:
            InvalidInputError: it is not that; names the field.
        """
        fields = Fields(parse_canonical(data.removesuffix(b"\n"), name="receipt"), path="")
        statement = ReceiptStatement.from_fields(fields.inner("statement"))
        seal = Seal.from_fields(fields)
        salt = fields.optional_hex_bytes("salt", n_bytes=SALT_BYTES)
        fields.finish()
        try:
            return cls(statement, seal, salt)
        except SignedDocumentError as error:
            fields.refuse("salt", error.message)
