"""The certificate: what was erased where, and the evidence, signed and tied to the audit log."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from app.domain.audit.checkpoint import CheckpointError, SignedNote
from app.domain.audit.merkle import HASH_BYTES
from app.domain.canonical_json import canonical_json, parse_canonical
from app.domain.certificates.signed_document import (
    SALT_BYTES,
    Seal,
    SignedDocumentError,
    SigningKey,
    require_salt,
    salt_to_json,
    sealed_message,
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


@dataclass(frozen=True, slots=True)
class Certificate:
    """A signed certificate.

    Args:
        salt: opens the commitment to the user; not signed itself (its hash is), so that it can
            be taken out. None where it has been.
    """

    statement: CertificateStatement
    proof: LogProof
    seal: Seal
    salt: bytes | None

    def __post_init__(self) -> None:
        """Refuse a salt that opens nothing."""
        require_salt(self.salt, subject=self.statement.subject)

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
        body = {"proof": proof.to_json(), "statement": statement.to_json()}
        seal = Seal.make(signer, document_format=CERTIFICATE_FORMAT, body=body)
        return cls(statement, proof, seal, salt)

    def _body(self) -> dict[str, object]:
        return {"proof": self.proof.to_json(), "statement": self.statement.to_json()}

    def signed_message(self) -> bytes:
        """Return the bytes under the signature."""
        return sealed_message(
            CERTIFICATE_FORMAT, body=self._body(), key=self.seal.key, rotations=self.seal.rotations
        )

    def without_salt(self) -> Self:
        """Return the form that ties nobody to it; its signature holds all the same."""
        return replace(self, salt=None)

    def to_json(self) -> Mapping[str, object]:
        """Return the JSON form, names in canonical order."""
        document = {**self.seal.to_json(), **self._body(), "salt": salt_to_json(self.salt)}
        return dict(sorted(document.items()))

    def encode(self) -> bytes:
        """Return the file to hand out: canonical JSON and a line feed."""
        return canonical_json(self.to_json()) + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what ``encode`` wrote. Signatures and proofs are not checked here.

        Raises:
            InvalidInputError: it is not that; names the field.
        """
        fields = Fields(parse_canonical(data.removesuffix(b"\n"), name="certificate"), path="")
        statement = CertificateStatement.from_fields(fields.inner("statement"))
        proof = LogProof.from_fields(fields.inner("proof"))
        seal = Seal.from_fields(fields)
        salt = fields.optional_hex_bytes("salt", n_bytes=SALT_BYTES)
        fields.finish()
        try:
            return cls(statement, proof, seal, salt)
        except SignedDocumentError as error:
            fields.refuse("salt", error.message)
