"""The receipt: what was received, when, and by when it will be done; signed, given at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from app.domain.certificates.signed_document import (
    SignedDocument,
    SignedDocumentError,
    SigningKey,
    SubjectCommitment,
    read_document,
    read_envelope,
    sign_document,
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
        n_records: how many records were held in the scope; 0: nothing was held under this id.
        requested_at: when the person asked, which starts the clock. Both are None, and left out,
            in receipts from before they were told.
    """

    origin: str
    request_id: RequestId
    scope_kind: str
    subject: SubjectCommitment
    received_at: datetime
    due_at: datetime
    leaf_index: int
    leaf_hash: bytes
    n_records: int | None = None
    requested_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse a statement that contradicts itself."""
        if self.scope_kind not in SCOPE_KINDS:
            raise InvalidInputError(FieldError("statement.scope_kind", "no such scope"))
        asked_at = self.requested_at or self.received_at
        if self.due_at <= asked_at:
            raise InvalidInputError(FieldError("statement.due_at", "not after requested_at"))

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        found: dict[str, object] = {
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
        if self.n_records is not None:
            found["n_records"] = self.n_records
        if self.requested_at is not None:
            found["requested_at"] = format_time(self.requested_at)
        return found

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
            n_records=fields.count("n_records") if "n_records" in fields else None,
            requested_at=fields.time("requested_at") if "requested_at" in fields else None,
        )
        fields.finish()
        return statement


@dataclass(frozen=True)
class Receipt(SignedDocument[ReceiptStatement]):
    """A signed receipt."""

    @classmethod
    def issue(cls, statement: ReceiptStatement, *, salt: bytes | None, signer: SigningKey) -> Self:
        """Sign ``statement``."""
        body = {"statement": statement.to_json()}
        return cls(statement, sign_document(RECEIPT_FORMAT, body, signer=signer), salt)

    def body(self) -> dict[str, object]:
        """Return the statement."""
        return {"statement": self.statement.to_json()}

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what ``encode`` wrote. The signature is not checked here.

        Raises:
            InvalidInputError: it is not that; names the field.
        """
        fields = read_document(data, name="receipt")
        statement = ReceiptStatement.from_fields(fields.inner("statement"))
        signature, salt = read_envelope(fields)
        try:
            return cls(statement, signature, salt)
        except SignedDocumentError as error:
            fields.refuse("salt", error.message)
