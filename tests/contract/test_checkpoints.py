"""Signing and proving the log, and finding whatever was done to it behind the service's back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from app.adapters.db.audit_tables import audit_checkpoint, audit_leaf, audit_node
from app.adapters.db.tables import counter
from app.adapters.db.uow import SqlUnitsOfWork
from app.adapters.system.clock import SystemClock
from app.adapters.system.signing import FileSigner, is_signed
from app.data.verify_lethe import parse_key, root_of_path, verify_document, verify_log
from app.domain.audit.entries import Leaf, LeafKind
from app.domain.audit.merkle import leaf_hash, verify_consistency
from app.domain.certificates.certificate import Certificate
from app.domain.errors import DependencyUnavailableError, IntegrityError, NotFoundError
from app.services.audit.checkpoints import CheckpointService
from app.services.audit.integrity_check import AuditCheckService
from app.services.audit.log import export_line
from tests.audit_samples import ORIGIN, SALT, completion_leaf, make_receipt, make_statement
from tests.contract.persistence.sql_rows import at_once, leaf
from tests.contract.persistence.test_audit_tree import without_triggers

N_LEAVES = 21


@pytest.fixture
def signer(tmp_path: Path) -> FileSigner:
    made = FileSigner(tmp_path / "keys", name=ORIGIN)
    made.create()
    return made


@pytest.fixture
def service(uows: SqlUnitsOfWork, signer: FileSigner) -> CheckpointService:
    return CheckpointService(
        uows=uows, signer=signer, clock=SystemClock(), origin=ORIGIN, is_signed=is_signed
    )


@pytest.fixture
def checker(uows: SqlUnitsOfWork, signer: FileSigner) -> AuditCheckService:
    return AuditCheckService(uows=uows, signer=signer, is_signed=is_signed)


def append(uows: SqlUnitsOfWork, n_leaves: int, *, name: str = "r") -> None:
    with uows.write() as uow:
        uow.audit.append([leaf(f"{name}{number}") for number in range(n_leaves)])


def test_every_leaf_is_proved_under_every_checkpoint(
    uows: SqlUnitsOfWork, service: CheckpointService, signer: FileSigner
) -> None:
    for size in range(1, N_LEAVES + 1):
        append(uows, 1, name=f"s{size}-")
        made = service.make()
        assert made is not None
        assert made.note.verify([signer.current().key], is_signed=is_signed)
        for seq in {0, size // 2, size - 1}:
            proof = service.prove(seq)
            root = root_of_path(proof.leaf_hash, index=seq, size=size, path=proof.path)
            assert root == proof.checkpoint.checkpoint.root


def test_every_size_is_proved_to_begin_every_later_one(
    uows: SqlUnitsOfWork, service: CheckpointService
) -> None:
    append(uows, N_LEAVES)
    for first in range(1, N_LEAVES + 1):
        proof = service.prove_consistency(first=first, second=N_LEAVES)
        verify_consistency(
            first=first,
            second=N_LEAVES,
            proof=proof.path,
            first_root=proof.first_root,
            second_root=proof.second_root,
        )


def test_nothing_is_signed_twice(uows: SqlUnitsOfWork, service: CheckpointService) -> None:
    assert service.make() is None
    with pytest.raises(NotFoundError, match="nothing has been signed"):
        service.newest()
    append(uows, 3)
    first = service.make()
    again = service.make()

    assert first is not None
    assert first == again == service.newest()


def test_concurrent_signers_sign_each_size_once(
    uows: SqlUnitsOfWork, service: CheckpointService, checker: AuditCheckService
) -> None:
    def work(number: int) -> None:
        for each in range(6):
            append(uows, 1, name=f"{number}.{each}.")
            service.make()

    at_once(6, work)

    report = checker.check()
    assert (report.n_leaves, report.problems) == (36, ())
    assert service.newest().checkpoint.size == 36


def test_a_leaf_under_no_checkpoint_gets_one(
    uows: SqlUnitsOfWork, service: CheckpointService
) -> None:
    append(uows, 5)

    assert service.prove(4).checkpoint.checkpoint.size == 5
    for seq in (-1, 5):
        with pytest.raises(NotFoundError):
            service.prove(seq)
    for first, second in ((0, 3), (4, 3), (3, 6)):
        with pytest.raises(NotFoundError):
            service.prove_consistency(first=first, second=second)


def certify(uows: SqlUnitsOfWork, service: CheckpointService) -> Certificate:
    statement = make_statement()
    with uows.write() as uow:
        seq = uow.audit.append([completion_leaf(statement)])[-1]
        return service.certify(uow, statement, seq=seq, salt=SALT)


def test_certificates_verify_offline_across_rotations(
    uows: SqlUnitsOfWork, service: CheckpointService, signer: FileSigner
) -> None:
    pinned = [parse_key(signer.current().key.encode())]
    made = []
    for number in range(3):
        append(uows, number + 4, name=f"{number}-")
        made.append(certify(uows, service))
        made[-1] = Certificate.decode(made[-1].encode())
        signer.rotate(at=datetime.now(UTC))

    for certificate in made:
        report = verify_document(certificate.encode(), pinned=pinned)
        assert report.n_wrong == 0, report.lines


def test_receipts_verify_offline(service: CheckpointService, signer: FileSigner) -> None:
    pinned = [parse_key(signer.current().key.encode())]
    receipt = service.acknowledge(make_receipt().statement, salt=SALT)

    assert verify_document(receipt.encode(), pinned=pinned).n_wrong == 0


def test_nothing_is_completed_when_the_key_store_is_gone(
    uows: SqlUnitsOfWork, service: CheckpointService, tmp_path: Path
) -> None:
    append(uows, 3)
    (tmp_path / "keys").rename(tmp_path / "elsewhere")

    with pytest.raises(DependencyUnavailableError):
        certify(uows, service)
    with pytest.raises(DependencyUnavailableError):
        service.acknowledge(make_receipt().statement, salt=SALT)
    with uows.read() as uow:
        assert (uow.audit.size(), uow.audit.newest_checkpoint()) == (3, None)


def test_exported_log_verifies_offline(
    uows: SqlUnitsOfWork, service: CheckpointService, signer: FileSigner
) -> None:
    append(uows, N_LEAVES)
    service.make()
    with uows.read() as uow:
        leaves = uow.audit.page(after=-1, limit=99, kind=None, request_id=None)
        notes = [each.note.encode() for each in uow.audit.checkpoints(after=-1, limit=9)]
    data = b"".join(map(export_line, leaves))
    pinned = [parse_key(signer.current().key.encode())]

    assert verify_log(data, notes=notes, pinned=pinned).n_wrong == 0


FORGED = Leaf(LeafKind.AUDIT_READ, datetime(2026, 1, 1, tzinfo=UTC), None, {}).canonical()
ATTACKS: dict[str, tuple[Sequence[sa.Executable], str]] = {
    "body": (
        [sa.update(audit_leaf).where(audit_leaf.c.seq == 7).values(body=FORGED)],
        "leaf 7 was changed",
    ),
    "body and hash": (
        [
            sa.update(audit_leaf)
            .where(audit_leaf.c.seq == 7)
            .values(body=FORGED, leaf_hash=leaf_hash(FORGED))
        ],
        "node 3 of level 1 of the tree is not the one over its leaves",
    ),
    "dropped": (
        [sa.delete(audit_leaf).where(audit_leaf.c.seq == 5)],
        "leaf 5 is missing: leaf 6 stands in its place",
    ),
    "cut off": (
        [sa.delete(audit_leaf).where(audit_leaf.c.seq >= 15)],
        "the log has 15 leaves, and says that it has 21",
    ),
    "cut off with its counter": (
        [
            sa.delete(audit_leaf).where(audit_leaf.c.seq >= 15),
            sa.update(counter).where(counter.c.name == "audit").values(value=15),
        ],
        "the log does not lead to the checkpoint that was signed at 21 leaves",
    ),
    "swapped": (
        [
            sa.update(audit_leaf).where(audit_leaf.c.seq == 2).values(seq=99),
            sa.update(audit_leaf).where(audit_leaf.c.seq == 3).values(seq=2),
            sa.update(audit_leaf).where(audit_leaf.c.seq == 99).values(seq=3),
        ],
        "the log does not lead to the checkpoint that was signed at 10 leaves",
    ),
    "node": (
        [sa.update(audit_node).where(audit_node.c.level == 3).values(hash=bytes(32))],
        "node 0 of level 3 of the tree",
    ),
    "node gone": ([sa.delete(audit_node).where(audit_node.c.level == 1)], "node 0 of level 1"),
    "checkpoint": (
        [sa.update(audit_checkpoint).values(root=bytes(32))],
        "is not the one that was signed",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_whatever_the_databases_owner_does_is_found(
    uows: SqlUnitsOfWork,
    engine: Engine,
    service: CheckpointService,
    checker: AuditCheckService,
    name: str,
) -> None:
    append(uows, 10)
    service.make()
    append(uows, 11, name="s")
    service.make()
    before = checker.check()
    assert (before.is_whole, before.n_leaves, before.n_checkpoints) == (True, 21, 2)
    statements, named = ATTACKS[name]

    for statement in statements:
        without_triggers(engine, statement)

    report = checker.check()
    assert any(named in problem for problem in report.problems), report.problems


def test_a_rewritten_log_is_never_signed(
    uows: SqlUnitsOfWork, engine: Engine, service: CheckpointService
) -> None:
    append(uows, 8)
    service.make()
    with uows.read() as uow:
        nodes = uow.audit.frontier()
    without_triggers(engine, sa.update(audit_node).values(hash=nodes.root()[::-1]))
    append(uows, 1, name="s")

    with pytest.raises(IntegrityError):
        service.make()
    with pytest.raises(IntegrityError):
        certify(uows, service)


def test_a_log_signed_by_a_foreign_key_is_found(
    uows: SqlUnitsOfWork, service: CheckpointService, tmp_path: Path
) -> None:
    """A lost key directory, made anew, must not pass for the old one."""
    append(uows, 8)
    service.make()
    other = FileSigner(tmp_path / "other", name=ORIGIN)
    other.create()
    checker = AuditCheckService(uows=uows, signer=other, is_signed=is_signed)

    assert checker.check().problems == (
        "the checkpoint at 8 leaves: signed by no key that is trusted",
    )
    append(uows, 1)
    foreign = CheckpointService(
        uows=uows, signer=other, clock=SystemClock(), origin=ORIGIN, is_signed=is_signed
    )
    with pytest.raises(IntegrityError, match="no key that is trusted"):
        foreign.make()


def test_an_empty_log_is_whole(checker: AuditCheckService) -> None:
    report = checker.check()

    assert (report.is_whole, report.n_leaves, report.n_checkpoints) == (True, 0, 0)
