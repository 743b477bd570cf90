"""Issues receipts and certificates, and keeps the sealed manifest of an erasure until then."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from app.domain.audit.entries import Leaf
from app.domain.audit.merkle import leaf_hash
from app.domain.canonical_json import canonical_json
from app.domain.certificates.receipt import Receipt, ReceiptStatement
from app.domain.certificates.signed_document import SALT_BYTES, SubjectCommitment, commit_subject
from app.domain.certificates.statement import (
    CertificateStatement,
    Deployment,
    Limit,
    ProbeFinding,
    StoreCount,
)
from app.domain.erasure.manifest import ErasureManifest
from app.domain.erasure.request import ErasureRequest
from app.domain.erasure.residue import ProbeReport
from app.domain.errors import IntegrityError
from app.domain.models import Pseudonym, RequestId
from app.domain.privacy.pseudonyms import Identity
from app.ports.cipher import Cipher
from app.ports.clock import Clock
from app.ports.persistence.documents import ErasureDocuments
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.ports.vault import KeyVault
from app.services.audit.checkpoints import CheckpointService

_NEEDLES: Final = "needles"
_LEFTOVERS: Final = 100
_UNKNOWN_STATE: Final = bytes(32)
_NO_STATE: Final = Limit(
    "state", "A state hash of zeros: no process that serves recommendations reported one."
)


@dataclass(frozen=True, slots=True)
class SaltedCommitment:
    """A commitment to the user a request is about, and the salt that opens it."""

    subject: SubjectCommitment
    salt: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """A request in its row, before the log has its leaves; the first is its receipt's."""

    request: ErasureRequest
    about: SaltedCommitment
    leaves: Sequence[Leaf]

    def statement(self, origin: str, seq: int) -> ReceiptStatement:
        """Return what its receipt states, the first leaf being number ``seq`` of the log."""
        request = self.request
        return ReceiptStatement(
            origin=origin,
            request_id=request.request_id,
            scope_kind=request.scope_kind,
            subject=self.about.subject,
            received_at=request.received_at,
            due_at=request.due_at,
            leaf_index=seq,
            leaf_hash=leaf_hash(self.leaves[0].canonical()),
            n_records=request.n_records,
            requested_at=request.requested_at,
        )


def commit(user: str) -> SaltedCommitment:
    """Commit to the caller's user id under a new random salt; at the edge, where it is known."""
    salt = secrets.token_bytes(SALT_BYTES)
    return SaltedCommitment(commit_subject(user, salt=salt), salt)


class CertificateService:
    """Issues receipts and certificates, and keeps the sealed manifest in between.

    Args:
        deployment: what every certificate of it says.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        checkpoints: CheckpointService,
        cipher: Cipher,
        vault: KeyVault,
        identity: Identity,
        clock: Clock,
        deployment: Deployment,
    ) -> None:
        self._uows = uows
        self._checkpoints = checkpoints
        self._cipher = cipher
        self._vault = vault
        self._identity = identity
        self._clock = clock
        self._deployment = deployment

    def acknowledge(self, uow: UnitOfWork, taken: Sequence[Taken]) -> list[Receipt]:
        """Log requests, and sign and keep their receipts, in the transaction that accepts them.

        What does not differ between them is asked for once.

        Raises:
            DependencyUnavailableError: the key store does not answer; nothing is accepted.
        """
        if not taken:
            return []
        numbers = iter(uow.audit.append([leaf for one in taken for leaf in one.leaves]))
        origin = self._checkpoints.origin(uow)
        live = uow.processes.live(now=taken[0].request.received_at)
        state_before = next((one.state_hash for one in live if one.state_hash is not None), None)
        receipts = []
        for one in taken:
            seq, *_ = [next(numbers) for _ in one.leaves]
            receipt = self._checkpoints.acknowledge(one.statement(origin, seq), salt=one.about.salt)
            documents = ErasureDocuments(
                receipt=receipt.without_salt().encode().decode(),
                salt=one.about.salt.hex(),
                state_before=state_before,
            )
            uow.documents.add(one.request.request_id, documents)
            receipts.append(receipt)
        return receipts

    def vouch(self) -> None:
        """Sign the log, so that the leaf a receipt names is kept out of a restore's reach, too.

        Raises:
            DependencyUnavailableError: the next signature makes up for it.
        """
        self._checkpoints.make()

    def origin(self, uow: UnitOfWork) -> str:
        """Return the name of the log that is appended to now."""
        return self._checkpoints.origin(uow)

    def receipt(self, uow: UnitOfWork, request_id: RequestId) -> Receipt:
        """Return the receipt as it was given, its salt included while it is still held here.

        Raises:
            IntegrityError: the request has none.
        """
        documents = _require(uow.documents.get(request_id))
        receipt = Receipt.decode(documents.receipt.encode())
        salt = bytes.fromhex(documents.salt) if documents.salt else None
        return replace(receipt, salt=salt)

    def certificate(self, uow: UnitOfWork, request_id: RequestId) -> str | None:
        """Return the certificate, canonical JSON; None before completion."""
        documents = uow.documents.get(request_id)
        return documents.certificate if documents else None

    def manifest(self, request_id: RequestId) -> ErasureManifest | None:
        """Return what an earlier attempt collected; None where none has.

        Raises:
            KeyUnavailableError: the vault does not answer.
        """
        with self._uows.read() as uow:
            documents = uow.documents.get(request_id)
        if documents is None or documents.needles is None:
            return None
        sealed: dict[str, str] = {request_id: documents.needles}
        opened = self._cipher.open(sealed, pseudonym=self._owner(request_id), purpose=_NEEDLES)
        return ErasureManifest.decode(opened[request_id], request_id=request_id)

    def keep(self, manifest: ErasureManifest) -> None:
        """Seal the manifest under a key of its own, for the time of the erasure."""
        request_id = manifest.order.request_id
        owner = self._owner(request_id)
        self._cipher.prepare([owner])
        texts: dict[str, str] = {request_id: manifest.encode()}
        sealed = self._cipher.seal(texts, pseudonym=owner, purpose=_NEEDLES)
        with self._uows.write() as uow:
            uow.documents.keep_needles(request_id, sealed[request_id])

    def shred_needles(self, request_ids: Collection[RequestId]) -> None:
        """Destroy the manifests' keys, last of all, and then the manifests.

        In this order, so that a worker that dies in between leaves a trace of the unfinished work.
        The vault's files are cleaned once for all of them.
        """
        for request_id in request_ids:
            self._vault.shred(self._owner(request_id))
        if request_ids:
            self._vault.flush()
            with self._uows.write() as uow:
                for request_id in request_ids:
                    uow.documents.drop_needles(request_id)

    def shred_leftovers(self) -> int:
        """Shred the manifests of completed requests whose worker died before; return how many."""
        with self._uows.read() as uow:
            left = uow.documents.certified_with_needles(limit=_LEFTOVERS)
        self.shred_needles(left)
        return len(left)

    def _owner(self, request_id: RequestId) -> Pseudonym:
        return self._identity.needle_owner(request_id)

    def statement(
        self,
        uow: UnitOfWork,
        request: ErasureRequest,
        *,
        manifest: ErasureManifest,
        reports: Sequence[ProbeReport],
    ) -> CertificateStatement:
        """Return the statement to certify; raise if it would not state a complete erasure.

        Raises:
            InvalidInputError: residue, or a search that did not find its control.
        """
        documents = _require(uow.documents.get(request.request_id))
        now = self._clock.now()
        hashes = [one.state_hash for one in uow.processes.live(now=now) if one.state_hash]
        before, after = documents.state_before, hashes[0] if hashes else None
        return CertificateStatement(
            origin=self._checkpoints.origin(uow),
            request_id=request.request_id,
            scope_kind=request.scope_kind,
            subject=Receipt.decode(documents.receipt.encode()).statement.subject,
            received_at=request.received_at,
            due_at=request.due_at,
            completed_at=now,
            stores=tuple(
                StoreCount(store, before=count, after=0)
                for store, count in sorted(manifest.counts.items())
            ),
            probes=tuple(_finding(report) for report in reports),
            state_before=bytes.fromhex(before) if before else _UNKNOWN_STATE,
            state_after=bytes.fromhex(after) if after else _UNKNOWN_STATE,
            limits=(*self._deployment.limits, *(() if before and after else (_NO_STATE,))),
            release=self._deployment.release,
            reach=self._deployment.reach,
            n_records=request.n_records,
            requested_at=request.requested_at,
            first_due_at=request.first_due_at,
        )

    def certify(self, uow: UnitOfWork, statement: CertificateStatement, *, seq: int) -> None:
        """Sign and keep the certificate, in the transaction that completes the request."""
        certificate = self._checkpoints.certify(uow, statement, seq=seq, salt=None)
        text = canonical_json(certificate.to_json()).decode()
        uow.documents.complete(statement.request_id, certificate=text)


def _finding(report: ProbeReport) -> ProbeFinding:
    return ProbeFinding(
        store=report.store,
        needles=report.patterns,
        scanned_bytes=report.bytes_read,
        control_found=report.control_found,
        residue=report.residue,
    )


def _require(documents: ErasureDocuments | None) -> ErasureDocuments:
    if documents is None:
        raise IntegrityError("an erasure request has no receipt")
    return documents
