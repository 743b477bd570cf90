"""Signs checkpoints of the audit log and proves that entries are in it."""

from __future__ import annotations

from app.domain.audit.checkpoint import Checkpoint, IsSigned, SignedCheckpoint, SignedNote
from app.domain.audit.entries import Leaf, LeafKind
from app.domain.audit.merkle import (
    Frontier,
    consistency_nodes,
    consistency_proof,
    verify_consistency,
)
from app.domain.certificates.certificate import Certificate, LogProof
from app.domain.certificates.receipt import Receipt, ReceiptStatement
from app.domain.certificates.signed_document import SigningKey, trusted_chain
from app.domain.certificates.statement import CertificateStatement
from app.domain.errors import KeyUnavailableError, NotFoundError
from app.ports.clock import Clock
from app.ports.ledger import LogHeads
from app.ports.persistence.unit_of_work import UnitOfWork, UnitsOfWork
from app.ports.signer import Signer
from app.services.audit.continuity import LogContinuity, reader
from app.services.audit.proofs import ConsistencyProof, InclusionProof, consistency, inclusion


class CheckpointService:
    """Signs checkpoints and makes proofs.

    Args:
        origin: the first log's name, which is the signing key's name too.
        is_signed: checks one Ed25519 signature.
        heads: keeps the newest checkpoint out of a restore's reach; None: nothing does.
    """

    def __init__(
        self,
        *,
        uows: UnitsOfWork,
        signer: Signer,
        clock: Clock,
        origin: str,
        is_signed: IsSigned,
        heads: LogHeads | None = None,
    ) -> None:
        self._uows = uows
        self._signer = signer
        self._clock = clock
        self._is_signed = is_signed
        self.continuity = LogContinuity(heads=heads, is_at_home=signer.is_at_home, base=origin)

    def make(self) -> SignedCheckpoint | None:
        """Sign the log's present state, unless it is signed or empty; on a timer.

        Raises:
            DependencyUnavailableError: the database or the key store does not answer.
            IntegrityError: the log does not continue what was signed; nothing is signed any more.
        """
        with self._uows.write() as uow:
            return self.sign(uow) if uow.audit.size() else None

    def sign(self, uow: UnitOfWork) -> SignedCheckpoint:
        """Sign the log as ``uow`` leaves it, what it appended included.

        The log is locked from here to the end of the transaction, so of all signers one signs
        each size, and what is signed is what is committed or nothing.

        Raises:
            DependencyUnavailableError: the key store does not answer, or what is kept of the log
                outside is newer than the log.
            IntegrityError: the log does not continue what was signed before.
        """
        uow.audit.lock()
        origin = self.continuity.require(uow)
        newest = uow.audit.newest_checkpoint()
        if newest is None or newest.checkpoint.size != uow.audit.size():
            return self.sign_as(uow, origin)
        self._require_continued(uow, newest, uow.audit.frontier())
        self.continuity.note_after_commit(uow, newest)
        return newest

    def sign_as(self, uow: UnitOfWork, origin: str) -> SignedCheckpoint:
        """Sign the log under that name; whether it may be is the caller's to know.

        Raises:
            DependencyUnavailableError: the key store does not answer.
            IntegrityError: the log does not continue what the database says was signed before.
        """
        frontier, newest = uow.audit.frontier(), uow.audit.newest_checkpoint()
        if newest is not None:
            self._require_continued(uow, newest, frontier)
        checkpoint = Checkpoint(origin, frontier.size, frontier.root())
        note = SignedNote(checkpoint.text()).signed(self._signer.current().sign)
        signed = SignedCheckpoint(checkpoint, note, self._clock.now())
        uow.audit.add_checkpoint(signed)
        self.continuity.note_after_commit(uow, signed)
        return signed

    def origin(self, uow: UnitOfWork) -> str:
        """Return the name of the log that is appended to now.

        Where the newest checkpoint is kept need not answer: who asks to be forgotten is heard.

        Raises:
            LogBehindError: the log came from a backup; its successor is being opened.
            LogForkedError: two histories were signed.
        """
        try:
            return self.continuity.require(uow)
        except KeyUnavailableError:
            return self.continuity.origin(uow)

    def _require_continued(
        self, uow: UnitOfWork, newest: SignedCheckpoint, frontier: Frontier
    ) -> None:
        """Refuse to sign a log that is not an extension of the signed one (tlog-checkpoint)."""
        chain = trusted_chain(self._signer.current(), is_signed=self._is_signed)
        newest.note.verify(chain, is_signed=self._is_signed)
        first, second = newest.checkpoint.size, frontier.size
        read_node = reader(uow, consistency_nodes(first, second=second))
        verify_consistency(
            first=first,
            second=second,
            proof=consistency_proof(first, second=second, read_node=read_node),
            first_root=newest.checkpoint.root,
            second_root=frontier.root(),
        )

    def rotate_key(self) -> str:
        """Make a new signing key that the old one vouches for; return its public half.

        The rotation is a leaf in the audit log.
        """
        now = self._clock.now()
        key = self._signer.rotate(at=now).key.encode()
        with self._uows.write() as uow:
            uow.audit.append([Leaf(LeafKind.KEY_ROTATED, now, None, {"key": key})])
        return key

    def public_key(self) -> str:
        """Return the key that signs now, in the form that verifiers take."""
        return self._signer.current().key.encode()

    def signer(self) -> SigningKey:
        """Return the key that signs now, with the rotations that lead to it."""
        return self._signer.current()

    def log_name(self) -> str:
        """Return the name of the log that is appended to now."""
        with self._uows.read() as uow:
            return self.continuity.origin(uow)

    def newest(self) -> SignedCheckpoint:
        """Return the newest signed checkpoint.

        Raises:
            NotFoundError: nothing has been signed yet.
        """
        with self._uows.read() as uow:
            return _require(uow.audit.newest_checkpoint())

    def prove(self, seq: int) -> InclusionProof:
        """Prove that leaf ``seq`` stands in the log; sign a checkpoint first if none covers it.

        Raises:
            NotFoundError: there is no such leaf.
        """
        with self._uows.read() as uow:
            newest = uow.audit.newest_checkpoint()
            if newest is not None and 0 <= seq < newest.checkpoint.size:
                return inclusion(uow, seq, checkpoint=newest)
            if not 0 <= seq < uow.audit.size():
                raise NotFoundError(f"the log has no leaf {seq}")
        with self._uows.write() as uow:
            return inclusion(uow, seq, checkpoint=self.sign(uow))

    def prove_signed(
        self, seq: int, *, size: int | None, newest: SignedCheckpoint
    ) -> InclusionProof:
        """Prove that leaf ``seq`` stands under the checkpoint of ``size`` (None: ``newest``).

        Raises:
            NotFoundError: no such checkpoint was signed, or the leaf is not under it.
        """
        with self._uows.read() as uow:
            if size is not None:
                signed = uow.audit.checkpoints(after=size - 1, limit=1)
                if not signed or signed[0].checkpoint.size != size:
                    raise NotFoundError(f"no checkpoint of {size} leaves was signed")
                newest = signed[0]
            if not 0 <= seq < newest.checkpoint.size:
                raise NotFoundError(f"no signed checkpoint covers leaf {seq}")
            return inclusion(uow, seq, checkpoint=newest)

    def prove_consistency(
        self, *, first: int, second: int, is_public: bool = False
    ) -> ConsistencyProof:
        """Prove that the log of ``first`` leaves begins that of ``second``; 0 < first <= second.

        Args:
            first: leaves of the earlier log.
            second: leaves of the later log.
            is_public: tell nothing of leaves that were not signed yet.

        Raises:
            NotFoundError: the log has fewer leaves, or a size makes no proof.
        """
        with self._uows.read() as uow:
            newest = uow.audit.newest_checkpoint()
            signed = newest.checkpoint.size if newest else 0
            if not 0 < first <= second <= (signed if is_public else uow.audit.size()):
                raise NotFoundError(f"no log of {first} leaves begins one of {second} here")
            return consistency(uow, first=first, second=second)

    def certify(
        self, uow: UnitOfWork, statement: CertificateStatement, *, seq: int, salt: bytes | None
    ) -> Certificate:
        """Return the certificate over ``statement``, signed, with the proof of its leaf.

        Args:
            uow: the transaction that has appended the leaf of completion, with
                ``statement.leaf_payload()`` in it: leaf, checkpoint and state commit together.
            statement: what was erased.
            seq: that leaf's number.
            salt: as committed with; None where the receipt alone holds it.

        Raises:
            DependencyUnavailableError: the key store does not answer; nothing may be completed.
            IntegrityError: the log does not continue what was signed before.
        """
        proof = inclusion(uow, seq, checkpoint=self.sign(uow))
        leaf = uow.audit.page(after=seq - 1, limit=1, kind=None, request_id=None)[0]
        evidence = LogProof(leaf.body, seq, proof.path, proof.checkpoint.note)
        return Certificate.issue(
            statement, proof=evidence, salt=salt, signer=self._signer.current()
        )

    def acknowledge(self, statement: ReceiptStatement, *, salt: bytes | None) -> Receipt:
        """Return the signed receipt over ``statement``.

        Raises:
            DependencyUnavailableError: the key store does not answer; nothing may be accepted.
        """
        return Receipt.issue(statement, salt=salt, signer=self._signer.current())


def _require(checkpoint: SignedCheckpoint | None) -> SignedCheckpoint:
    if checkpoint is None:
        raise NotFoundError("nothing has been signed yet")
    return checkpoint
