"""The proof routes over both databases: what they give out is checked without the service."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.adapters.db.uow import SqlUnitsOfWork
from app.adapters.system.clock import SystemClock
from app.adapters.system.signing import FileSigner, is_signed
from app.api.audit_proofs import router
from app.api.errors import add_error_handlers
from app.api.slowdown import Slowdown
from app.api.state import Limits, Security
from app.data.verify_lethe import parse_key, root_of_path, verify_log
from app.domain.audit.merkle import verify_consistency
from app.services.audit.checkpoints import CheckpointService
from app.services.audit.integrity_check import AuditCheckService
from app.services.audit.log import AuditService
from tests.audit_samples import ORIGIN
from tests.contract.persistence.sql_rows import leaf

ADMIN = {"Authorization": "Bearer an-admin-token"}
N_LEAVES = 9


class _State:
    security = Security("a-service-token", "an-admin-token")
    slowdown = Slowdown()
    limits = Limits()

    def __init__(self, container: object) -> None:
        self.container = container


@pytest.fixture
def signer(tmp_path: Path) -> FileSigner:
    made = FileSigner(tmp_path / "keys", name=ORIGIN)
    made.create()
    return made


@pytest.fixture
def client(uows: SqlUnitsOfWork, signer: FileSigner) -> Iterator[TestClient]:
    with uows.write() as uow:
        uow.audit.append([leaf(f"r{number}") for number in range(N_LEAVES)])
    checkpoints = CheckpointService(
        uows=uows, signer=signer, clock=SystemClock(), origin=ORIGIN, is_signed=is_signed
    )
    app = FastAPI()
    app.state.lethe = _State(
        SimpleNamespace(
            clock=SystemClock(),
            checkpoints=checkpoints,
            audit_check=AuditCheckService(uows=uows, signer=signer, is_signed=is_signed),
            audit=AuditService(uows=uows, clock=SystemClock()),
        )
    )
    add_error_handlers(app)
    app.include_router(router)
    with TestClient(app, headers=ADMIN, raise_server_exceptions=False) as client:
        yield client


def raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def test_inclusion_is_verified_from_the_answer_alone(client: TestClient) -> None:
    body = client.get("/admin/audit/leaves/4/proof").json()
    checkpoint = body["checkpoint"]
    path = [raw(step) for step in body["path"]]

    root = root_of_path(raw(body["leaf_hash"]), index=4, size=checkpoint["size"], path=path)
    assert root == raw(checkpoint["root"])
    assert client.get("/admin/audit/checkpoint").json() == checkpoint


def test_consistency_is_verified_from_the_answer_alone(client: TestClient) -> None:
    body = client.get("/admin/audit/consistency?first=3&second=9").json()

    verify_consistency(
        first=3,
        second=9,
        proof=[raw(step) for step in body["path"]],
        first_root=raw(body["first_root"]),
        second_root=raw(body["second_root"]),
    )


def test_export_verifies_under_its_checkpoint(client: TestClient, signer: FileSigner) -> None:
    checkpoint = client.get("/admin/audit/leaves/0/proof").json()["checkpoint"]
    answer = client.get(f"/admin/audit/export?size={checkpoint['size']}")
    pinned = [parse_key(signer.current().key.encode())]

    report = verify_log(answer.content, notes=[checkpoint["note"]], pinned=pinned)
    assert report.n_wrong == 0, report.lines
    assert client.post("/admin/audit/check").json()["n_leaves"] == N_LEAVES + 1


def test_the_whole_log_is_checked(client: TestClient) -> None:
    client.get("/admin/audit/leaves/0/proof")
    body = client.post("/admin/audit/check").json()

    assert (body["is_whole"], body["n_leaves"], body["n_checkpoints"]) == (True, N_LEAVES, 1)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/audit/checkpoint", 404),
        ("/admin/audit/leaves/99/proof", 404),
        ("/admin/audit/leaves/-1/proof", 422),
        ("/admin/audit/consistency?first=0&second=3", 422),
        ("/admin/audit/consistency?first=4&second=3", 404),
        ("/admin/audit/consistency?first=4&second=99", 404),
        ("/admin/audit/export?size=99", 404),
        ("/admin/audit/export", 422),
    ],
)
def test_what_is_not_there_is_said(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("token", ["a-service-token", "nonsense", ""])
def test_only_admins_may_ask(client: TestClient, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}

    for path in ("checkpoint", "leaves/0/proof", "consistency?first=1&second=2", "export?size=1"):
        answer = client.get(f"/admin/audit/{path}", headers=headers)
        assert answer.status_code in {401, 403}
    assert client.post("/admin/audit/check", headers=headers).status_code in {401, 403}
