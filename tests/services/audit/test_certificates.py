"""An erasure is complete only by a clean probe, and its papers hold without the service."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.data import verify_lethe
from app.domain.canonical_json import canonical_json
from app.domain.certificates.signed_document import commit_subject
from app.domain.erasure.request import RequestState
from app.domain.erasure.residue import Finding, NeedleKind, Needles, ProbeReport
from app.domain.erasure.scope import AllScope
from app.domain.models import RequestId
from app.services.audit.certificates import commit
from app.services.erasure.requests import Acceptance, ForgetCommand
from tests.world import World

SEA = [f"sea-{number:02d}" for number in range(6)]


def forget(world: World, name: str, *, key: str | None = None) -> Acceptance:
    command = ForgetCommand(
        pseudonym=world.user(name), scope=AllScope(), idempotency_key=key, about=commit(name)
    )
    return world.container.forget.accept(command)


def documents(world: World, request_id: RequestId) -> dict[str, str | None]:
    with world.adapters.uows.read() as uow:
        found = uow.documents.get(request_id)
    assert found is not None
    return {"salt": found.salt, "needles": found.needles, "certificate": found.certificate}


def test_the_certificate_is_verified_without_the_service(
    shared_world: World, tmp_path: Path
) -> None:
    shared_world.read("certified", SEA)
    shared_world.note("certified", "I sailed past Terschelling")
    shared_world.settle()
    accepted = forget(shared_world, "certified")
    request_id = accepted.request.request_id
    assert shared_world.erase(request_id)

    text = documents(shared_world, request_id)["certificate"]
    assert text is not None
    file = tmp_path / "certificate.json"
    file.write_text(text + "\n")
    key = shared_world.container.checkpoints.public_key()
    assert verify_lethe.main([str(file), "--key", key]) == 0
    file.write_text(text.replace('"residue":0', '"residue":1') + "\n")
    assert verify_lethe.main([str(file), "--key", key]) == 1

    statement = json.loads(text)["statement"]
    assert {one["store"]: one["before"] for one in statement["stores"]} == {
        "cache": 0,
        "memory": 1,
        "rows": 7,
        "vault": 1,
    }
    assert {one["store"] for one in statement["probes"]} == {"memory", "rows", "vault"}
    assert all(one["control_found"] for one in statement["probes"])
    assert statement["state_before"] != statement["state_after"]


def test_the_receipt_s_holder_alone_can_tell_whom_the_certificate_is_about(
    shared_world: World,
) -> None:
    shared_world.read("linked", SEA)
    accepted = forget(shared_world, "linked")
    request_id = accepted.request.request_id
    assert shared_world.erase(request_id)

    kept = documents(shared_world, request_id)
    assert kept["salt"] is None
    assert kept["needles"] is None
    assert accepted.receipt.salt is not None
    subject, salt = accepted.receipt.statement.subject, accepted.receipt.salt
    assert commit_subject("linked", salt=salt) == subject
    assert commit_subject("someone-else", salt=salt) != subject
    assert subject.commitment.hex() in str(kept["certificate"])


def test_a_repeat_gets_the_same_receipt_to_the_byte(shared_world: World) -> None:
    shared_world.read("repeater", SEA)

    first = forget(shared_world, "repeater", key="again")
    second = forget(shared_world, "repeater", key="again")

    assert first.receipt.encode() == second.receipt.encode()
    assert shared_world.erase(first.request.request_id)
    third = forget(shared_world, "repeater", key="again")
    assert third.request.request_id == first.request.request_id
    assert third.receipt.encode() == first.receipt.without_salt().encode()


class _Probe:
    """Reports what it is told to."""

    def __init__(self, *, residue: int, control_found: bool) -> None:
        self.residue, self.control_found = residue, control_found

    def search(
        self, groups: Sequence[Needles], *, control: Needles, key: bytes
    ) -> list[tuple[ProbeReport, ...]]:
        assert all(needles.count(NeedleKind.ID) for needles in groups)
        assert control.count(NeedleKind.ID)
        report = ProbeReport(
            store="memory",
            files=1,
            bytes_read=100,
            patterns=5,
            findings=(Finding(NeedleKind.VECTOR, "x", self.residue),) if self.residue else (),
            left=((NeedleKind.VECTOR, self.residue),) if self.residue else (),
            control_found=self.control_found,
            seconds=0.0,
        )
        return [(report,) for _ in groups]


@pytest.mark.parametrize(
    "probe", [_Probe(residue=1, control_found=True), _Probe(residue=0, control_found=False)]
)
def test_residue_or_a_missing_control_keeps_the_request_open(
    own_world: World, probe: _Probe
) -> None:
    own_world.read("haunted", SEA)
    request_id = forget(own_world, "haunted").request.request_id
    with own_world.answering("probe", "search", probe.search):
        assert not own_world.erase(request_id)

    status = own_world.container.forget.status(request_id)
    assert status.request.state is RequestState.ERASING
    assert status.certificate is None
    assert documents(own_world, request_id)["needles"] is not None


def test_a_real_leftover_in_a_file_is_found(own_world: World) -> None:
    own_world.read("leftover", SEA)
    own_world.note("leftover", "I sailed past Terschelling")
    request_id = forget(own_world, "leftover").request.request_id
    chroma = own_world.adapters.settings.data_dir / "chroma"
    (chroma / "forgotten.bak").write_bytes(b"... I sailed past Terschelling ...")

    assert not own_world.erase(request_id)

    assert own_world.container.forget.status(request_id).request.state is RequestState.ERASING


def test_certificates_are_canonical(shared_world: World) -> None:
    shared_world.read("canonical", SEA)
    request_id = forget(shared_world, "canonical").request.request_id
    assert shared_world.erase(request_id)

    text = str(documents(shared_world, request_id)["certificate"])

    assert canonical_json(json.loads(text)).decode() == text
