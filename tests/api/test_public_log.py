"""A stranger, without a token, gets what is needed to check the log, and nothing else."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from app.data import verify_lethe
from app.data.verify_lethe import root_of_path
from app.domain.audit.merkle import verify_consistency
from tests.api.conftest import SERVICE, Api

WHO = "erased@example.org"


@pytest.fixture(scope="module")
def request_id(api: Api) -> str:
    """Somebody's request, completed."""
    event = {"event_id": "1", "user": WHO, "item_id": "sea-01", "kind": "view"}
    at = {"occurred_at": "2025-03-01T12:00:00Z"}
    assert api.client.post("/interactions", json=[event | at], headers=SERVICE).is_success
    body = {"user": WHO, "scope": {"kind": "all"}}
    made = api.client.post("/forget", json=body, headers=SERVICE).json()
    api.world.settle()
    api.world.container.sweep.sweep(take_over_after_s=0.0)
    return str(made["request_id"])


def raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def test_key_log_and_limits_are_told_when_nobody_signs_in(api: Api, request_id: str) -> None:
    assert request_id
    answer = api.client.get("/.well-known/lethe.json")
    told = answer.json()

    assert told["key"] == api.world.container.checkpoints.public_key()
    assert (told["origin"], told["ended"], told["policy"]) == ("lethe", [], None)
    assert {"backups", "media", "recipients"} <= {one["code"] for one in told["limits"]}
    assert "memory, rows and vault were searched" in told["reach"]
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert WHO not in answer.text


def test_checkpoint_inclusion_and_consistency_are_checked_from_the_answers_alone(
    api: Api, request_id: str
) -> None:
    assert request_id
    note = api.client.get("/log/checkpoint")
    size = int(note.text.split("\n")[1])
    leaf = api.client.get("/log/leaves/1/proof").json()
    key = verify_lethe.parse_key(api.client.get("/.well-known/lethe.json").json()["key"])
    signed = verify_lethe.open_checkpoint(note.text, [key])
    path = [raw(step) for step in leaf["path"]]

    assert root_of_path(raw(leaf["leaf_hash"]), index=1, size=size, path=path) == signed.root
    proof = api.client.get(f"/log/consistency?first=1&second={size}").json()
    verify_consistency(
        first=1,
        second=size,
        proof=[raw(step) for step in proof["path"]],
        first_root=raw(proof["first_root"]),
        second_root=signed.root,
    )


def test_what_was_not_signed_is_not_told(api: Api, request_id: str) -> None:
    assert request_id
    size = api.world.container.checkpoints.newest().checkpoint.size
    api.client.get("/admin/audit", headers={"Authorization": "Bearer an-admin-token"})

    assert api.client.get(f"/log/leaves/{size}/proof").status_code == 404
    assert api.client.get(f"/log/leaves/0/proof?size={size + 1}").status_code == 404
    assert api.client.get(f"/log/consistency?first=1&second={size + 1}").status_code == 404
    assert api.world.container.checkpoints.newest().checkpoint.size == size


def test_the_certificate_is_a_file_and_its_proof_another(
    api: Api, request_id: str, tmp_path: Path
) -> None:
    key = api.world.container.checkpoints.public_key()
    files = []
    for name in ("certificate", "certificate.tlog-proof"):
        answer = api.client.get(f"/forget/{request_id}/{name}", headers=SERVICE)
        assert answer.headers["content-disposition"].startswith("attachment")
        assert api.client.get(f"/forget/{request_id}/{name}").status_code == 401
        assert api.client.get(f"/forget/{'0' * 32}/{name}", headers=SERVICE).status_code == 404
        files.append(tmp_path / name)
        files[-1].write_bytes(answer.content)

    assert verify_lethe.main([*map(str, files), "--key", key]) == 0
    files[1].write_text(files[1].read_text().replace("index ", "index 1"))
    assert verify_lethe.main([*map(str, files), "--key", key]) == 1
