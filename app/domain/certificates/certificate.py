"""The certificate: what was erased where, and the evidence, signed and tied to the audit log."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

from app.domain.audit.checkpoint import CheckpointError, IsSigned, SignedNote, VerifierKey
from app.domain.audit.merkle import HASH_BYTES
from app.domain.certificates.signed_document import (
    SignedDocument,
    SignedDocumentError,
    SigningKey,
    read_document,
    read_envelope,
    sign_document,
    signed_bytes,
)
from app.domain.certificates.statement import CERTIFICATE_FORMAT, CertificateStatement
from app.domain.strict_fields import Fields, decode_base64


@dataclass(frozen=True, slots=True)
class LogProof:
    """Evidence that a leaf stands in the log.

    Args:
        leaf: the leaf's bytes as appended.
        index: its 0-based number.
        path: RFC 9162 inclusion proof, 32-byte hashes, leaf side first.
        checkpoint: signed checkpoint that the path leads to.
    """

    leaf: bytes
    index: int
    path: Sequence[bytes]
    checkpoint: SignedNote

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "checkpoint": self.checkpoint.encode(),
            "index": self.index,
            "leaf": self.leaf.decode(),
            "path": [base64.b64encode(step).decode() for step in self.path],
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the JSON form; errors name the field."""
        try:
            checkpoint = SignedNote.parse(fields.text("checkpoint"))
        except CheckpointError as error:
            fields.refuse("checkpoint", error.message)
        steps = [decode_base64(text) for text in fields.texts("path")]
        path = tuple(step for step in steps if step is not None and len(step) == HASH_BYTES)
        if len(path) != len(steps):
            fields.refuse("path", "not a list of 32-byte hashes in base64")
        proof = cls(fields.text("leaf").encode(), fields.count("index"), path, checkpoint)
        fields.finish()
        return proof


@dataclass(frozen=True)
class Certificate(SignedDocument[CertificateStatement]):
    """A signed certificate."""

    proof: LogProof

    @classmethod
    def issue(
        cls,
        statement: CertificateStatement,
        *,
        proof: LogProof,
        salt: bytes | None,
        signer: SigningKey,
    ) -> Self:
        """Sign ``statement`` with ``proof`` that its leaf stands in the log."""
        signature = sign_document(CERTIFICATE_FORMAT, _body(statement, proof), signer=signer)
        return cls(statement, signature, salt, proof)

    def body(self) -> dict[str, object]:
        """Return the statement and the proof that its leaf stands in the log."""
        return _body(self.statement, self.proof)

    def is_signed_by(self, keys: Collection[VerifierKey], *, is_signed: IsSigned) -> bool:
        """Whether one of ``keys`` signed it, as it is."""
        message = signed_bytes(CERTIFICATE_FORMAT, self.body(), signed=self.signature)
        made = self.signature
        return made.key in keys and is_signed(made.key, made.signature, message)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what ``encode`` wrote. Signatures and proofs are not checked here.

        Raises:
            InvalidInputError: it is not that; names the field.
        """
        fields = read_document(data, name="certificate")
        statement = CertificateStatement.from_fields(fields.inner("statement"))
        proof = LogProof.from_fields(fields.inner("proof"))
        signature, salt = read_envelope(fields)
        try:
            return cls(statement, signature, salt, proof)
        except SignedDocumentError as error:
            fields.refuse("salt", error.message)


def _body(statement: CertificateStatement, proof: LogProof) -> dict[str, object]:
    return {"proof": proof.to_json(), "statement": statement.to_json()}
