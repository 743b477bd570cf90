"""An audit log in memory, with receipts and certificates from it, for tests and benchmarks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.domain.audit.checkpoint import (
    Checkpoint,
    KeyRotation,
    NoteSignature,
    SignedNote,
    VerifierKey,
)
from app.domain.audit.entries import Leaf, LeafKind, LeafValue, StoredLeaf
from app.domain.audit.merkle import Frontier, NodeId, extend, inclusion_proof, leaf_hash
from app.domain.certificates.certificate import Certificate, LogProof
from app.domain.certificates.receipt import Receipt, ReceiptStatement
from app.domain.certificates.signed_document import SigningKey, commit_subject
from app.domain.certificates.statement import CertificateStatement, ProbeFinding, StoreCount
from app.domain.models import RequestId
from app.services.audit.log import export_line

ORIGIN = "lethe.example/log"
USER = "user-ärger@example.org"
SALT = bytes(range(32))
AT = datetime(2026, 1, 31, 12, 0, 0, 250, tzinfo=UTC)
REQUEST = RequestId("0123456789abcdef0123456789abcdef")


def make_signer(number: int, *, rotations: tuple[SignedNote, ...] = ()) -> SigningKey:
    """Return the key whose seed is ``number``."""
    private = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    key = VerifierKey(ORIGIN, private.public_key().public_bytes_raw())
    return SigningKey(
        key,
        rotations,
        lambda message: NoteSignature(key.name, key.key_id, private.sign(message)),
    )


def rotated(old: SigningKey, number: int) -> SigningKey:
    """Return the key ``number``, named by ``old`` as its successor."""
    new = make_signer(number)
    note = SignedNote(KeyRotation(old.key, new.key, AT).text()).signed(old.sign).signed(new.sign)
    return replace(new, rotations=(*old.rotations, note))


SIGNER = make_signer(1)


class MemoryLog:
    """What the database keeps of the log."""

    def __init__(self) -> None:
        self.leaves: list[StoredLeaf] = []
        self.frontier = Frontier()
        self.nodes: dict[NodeId, bytes] = {}

    def append(self, *leaves: Leaf) -> int:
        for leaf in leaves:
            body = leaf.canonical()
            stored = StoredLeaf(len(self.leaves), body, leaf_hash(body))
            self.frontier, completed = extend(self.frontier, [stored.leaf_hash])
            self.nodes |= {NodeId(0, stored.seq): stored.leaf_hash} | dict(completed)
            self.leaves.append(stored)
        return len(self.leaves) - 1

    def fill(self, n_leaves: int) -> None:
        """Append leaves like those of everyday work."""
        kinds = [kind for kind in LeafKind if kind is not LeafKind.LOG_SUCCEEDED]
        for number in range(n_leaves):
            payload: dict[str, LeafValue] = {
                "n_memories": number % 97,
                "store": "memory",
                "ms": number * 7 % 1000,
            }
            at = AT + timedelta(seconds=number)
            request_id = RequestId(f"{number // 6:032x}")
            self.append(Leaf(kinds[number % len(kinds)], at, request_id, payload))

    def checkpoint_value(self) -> Checkpoint:
        return Checkpoint(ORIGIN, self.frontier.size, self.frontier.root())

    def checkpoint(self, signer: SigningKey = SIGNER) -> SignedNote:
        return SignedNote(self.checkpoint_value().text()).signed(signer.sign)

    def prove(self, index: int, *, signer: SigningKey = SIGNER) -> LogProof:
        path = inclusion_proof(
            index,
            size=self.frontier.size,
            read_node=lambda level, position: self.nodes[NodeId(level, position)],
        )
        return LogProof(self.leaves[index].body, index, path, self.checkpoint(signer))

    def export(self) -> bytes:
        return b"".join(map(export_line, self.leaves))


def make_statement() -> CertificateStatement:
    return CertificateStatement(
        origin=ORIGIN,
        request_id=REQUEST,
        scope_kind="all",
        subject=commit_subject(USER, salt=SALT),
        received_at=AT,
        due_at=AT + timedelta(days=28),
        completed_at=AT + timedelta(seconds=9),
        stores=(StoreCount("interaction", 214, 0), StoreCount("memory", 214, 0)),
        probes=(
            ProbeFinding("memory", 642, 10_485_760, control_found=True, residue=0),
            ProbeFinding("database", 642, 5_242_880, control_found=True, residue=0),
        ),
        state_before=bytes([7]) * 32,
        state_after=bytes([8]) * 32,
    )


def completion_leaf(statement: CertificateStatement) -> Leaf:
    return Leaf(
        LeafKind.FORGET_COMPLETED,
        statement.completed_at,
        statement.request_id,
        statement.leaf_payload(),
    )


def make_certificate(
    *, signer: SigningKey = SIGNER, n_before: int = 20, n_after: int = 3
) -> Certificate:
    statement, log = make_statement(), MemoryLog()
    log.fill(n_before)
    index = log.append(completion_leaf(statement))
    log.fill(n_after)
    proof = log.prove(index, signer=signer)
    return Certificate.issue(statement, proof=proof, salt=SALT, signer=signer)


def make_receipt(*, signer: SigningKey = SIGNER) -> Receipt:
    statement = ReceiptStatement(
        origin=ORIGIN,
        request_id=REQUEST,
        scope_kind="all",
        subject=commit_subject(USER, salt=SALT),
        received_at=AT,
        due_at=AT + timedelta(days=28),
        leaf_index=17,
        leaf_hash=bytes([9]) * 32,
    )
    return Receipt.issue(statement, salt=SALT, signer=signer)
