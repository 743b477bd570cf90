"""The one-file verifier, run as a stranger would run it, on whole and on damaged documents."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.data import verify_lethe
from app.domain.audit.checkpoint import SignedNote
from app.domain.audit.entries import LeafKind
from app.domain.canonical_json import canonical_json
from app.domain.certificates.certificate import Certificate, LogProof
from app.domain.certificates.receipt import Receipt
from tests.audit_samples import (
    ORIGIN,
    SALT,
    SIGNER,
    USER,
    MemoryLog,
    completion_leaf,
    make_certificate,
    make_receipt,
    make_signer,
    make_statement,
    rotated,
)

KEY = SIGNER.key.encode()


def verify(path: Path, *options: str) -> int:
    return verify_lethe.main([str(path), *options])


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "certificate.json"
    path.write_bytes(make_certificate().encode())
    return path


@pytest.mark.parametrize("document", [make_certificate(), make_receipt()], ids=["cert", "receipt"])
def test_document_is_verified_when_the_key_is_given(
    tmp_path: Path, document: Certificate | Receipt, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "document.json"
    path.write_bytes(document.encode())

    assert verify(path, "--key", KEY) == 0
    assert capsys.readouterr().out.endswith("\nVERIFIED\n")


def test_the_report_is_one_json_document_where_programs_ask(
    certificate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(certificate, "--json") == 2
    assert verify(certificate, "--json", "--key", KEY) == 0

    unknown, known = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (unknown["is_verified"], known["is_verified"]) == (False, True)
    assert known["verdict"] == "VERIFIED"
    assert any(line.startswith("ok     signature") for line in known["lines"])


def test_verifier_needs_nothing_of_ours(certificate: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", verify_lethe.__file__, certificate, "--key", KEY],
        cwd=certificate.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    source = Path(verify_lethe.__file__).read_text(encoding="utf-8")
    assert "import app" not in source
    assert "from app" not in source


def test_nothing_is_concluded_when_no_key_is_given(
    certificate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(certificate) == 2
    assert "WHO SIGNED IT IS NOT KNOWN" in capsys.readouterr().out


def test_key_may_be_a_file(certificate: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{make_signer(5).key.encode()}\n{KEY}\n")

    assert verify(certificate, "--key", str(keys)) == 0


def test_wrong_key_is_named(certificate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(certificate, "--key", make_signer(2).key.encode()) == 1
    out = capsys.readouterr().out
    assert f"WRONG  key: wrong key: signed by {KEY}" in out
    assert "WRONG  inclusion proof: wrong key" in out


def test_an_old_key_vouches_for_its_successors(tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    path.write_bytes(make_certificate(signer=rotated(rotated(SIGNER, 2), 3)).encode())

    assert verify(path, "--key", KEY) == 0
    assert verify(path, "--key", make_signer(2).key.encode()) == 0
    assert verify(path, "--key", make_signer(3).key.encode()) == 0
    assert verify(path, "--key", make_signer(4).key.encode()) == 1


def test_a_new_key_does_not_vouch_for_what_it_does_not_sign(certificate: Path) -> None:
    assert verify(certificate, "--key", rotated(SIGNER, 2).key.encode()) == 1


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda data: data[:-40], "WRONG  form: not JSON: cut off"),
        (lambda data: b"", "WRONG  form: not JSON: cut off"),
        (lambda data: data.replace(b"214", b"215", 1), "WRONG  signature: does not fit"),
        (lambda data: data.replace(SALT.hex().encode(), b"0" * 64), "the salt is not the one"),
        (lambda data: data.replace(b'"salt":', b'"salt":null,"salt":'), "a name occurs twice"),
        (lambda data: b"\xff" + data, "WRONG  form: not JSON: damaged"),
        (lambda data: b"[]\n", "WRONG  form: not a document"),
    ],
    ids=["truncated", "empty", "changed", "salt", "repeated", "not utf-8", "no object"],
)
def test_damage_is_named(
    certificate: Path,
    capsys: pytest.CaptureFixture[str],
    damage: object,
    named: str,
) -> None:
    assert callable(damage)
    certificate.write_bytes(damage(certificate.read_bytes()))

    assert verify(certificate, "--key", KEY) == 1
    assert named in capsys.readouterr().out


def forged(proof: LogProof) -> bytes:
    """A certificate signed with the right key, over a proof that is not right."""
    return Certificate.issue(make_statement(), proof=proof, salt=SALT, signer=SIGNER).encode()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"path": (bytes(32),) * 4}, "WRONG  inclusion proof: leads to another root"),
        ({"path": ()}, "WRONG  inclusion proof: the inclusion proof is too short"),
        ({"path": (bytes(32),) * 40}, "WRONG  inclusion proof: the inclusion proof is too long"),
        ({"index": 3}, "WRONG  inclusion proof"),
        ({"index": 99}, "the log of 24 leaves has no leaf 99"),
        ({"leaf": b'{"kind":"forget.failed"}'}, "WRONG  leaf: the leaf's kind"),
        ({"leaf": b'{"kind":"forget.completed"}'}, "WRONG  leaf: request_id: missing"),
    ],
    ids=["path", "short", "long", "index", "beyond", "kind", "empty"],
)
def test_bad_proof_is_named_even_when_signed(
    certificate: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, object],
    named: str,
) -> None:
    whole = Certificate.decode(certificate.read_bytes()).proof
    fields = {name: getattr(whole, name) for name in ("leaf", "index", "path", "checkpoint")}
    certificate.write_bytes(forged(LogProof(**fields | change)))

    assert verify(certificate, "--key", KEY) == 1
    out = capsys.readouterr().out
    assert named in out
    assert "ok     signature" in out


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("another.example/log\n24\n", "the checkpoint is of another log"),
        (f"{ORIGIN}\n024\n", "not the three lines origin, size, root"),
        (f"{ORIGIN}\n", "not the three lines origin, size, root"),
    ],
)
def test_checkpoint_of_another_kind_is_named_even_when_signed(
    certificate: Path, capsys: pytest.CaptureFixture[str], text: str, named: str
) -> None:
    whole = Certificate.decode(certificate.read_bytes()).proof
    root = whole.checkpoint.text.split("\n")[2]
    note = SignedNote(f"{text}{root}\n").signed(SIGNER.sign)
    certificate.write_bytes(forged(replace(whole, checkpoint=note)))

    assert verify(certificate, "--key", KEY) == 1
    assert f"WRONG  inclusion proof: {named}" in capsys.readouterr().out


def test_leaf_of_another_statement_is_named(
    certificate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = replace(make_statement(), state_after=bytes(32))
    log = MemoryLog()
    log.fill(4)
    certificate.write_bytes(forged(log.prove(log.append(completion_leaf(other)))))

    assert verify(certificate, "--key", KEY) == 1
    assert "WRONG  leaf: the leaf's payload.statement" in capsys.readouterr().out


def test_certificate_without_its_proof_is_refused(
    certificate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(certificate.read_bytes())
    del document["proof"]
    certificate.write_bytes(signed_again(document))

    assert verify(certificate, "--key", KEY) == 1
    assert "WRONG  inclusion proof: proof.checkpoint: missing" in capsys.readouterr().out


def signed_again(document: dict[str, object]) -> bytes:
    """What a service that lies would hand out: rightly signed, wrong in itself."""
    signed = {name: each for name, each in document.items() if name not in {"salt", "signature"}}
    made = SIGNER.sign(b"lethe-certificate/v1\n" + canonical_json(signed))
    signature = base64.b64encode(made.signature).decode()
    return canonical_json({**document, "signature": signature})


PROBE = {"needles": 1, "residue": 0, "scanned_bytes": 1, "store": "memory", "control_found": True}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"probes": [PROBE | {"residue": 1}]}, "residue was found in memory"),
        (
            {"probes": [PROBE | {"control_found": False}]},
            "the probe of memory did not find its control",
        ),
        ({"probes": [PROBE | {"residue": "0"}]}, "residue: not of the right type"),
        ({"probes": []}, "no stores, or no probes"),
        ({"stores": []}, "no stores, or no probes"),
        (
            {"stores": [{"store": "memory", "before": 3, "after": 1}]},
            "records are left in memory",
        ),
    ],
)
def test_statement_of_failure_is_refused_even_when_signed(
    certificate: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, object],
    named: str,
) -> None:
    document = json.loads(certificate.read_bytes())
    document["statement"] |= change
    certificate.write_bytes(signed_again(document))

    assert verify(certificate, "--key", KEY) == 1
    out = capsys.readouterr().out
    assert "ok     signature" in out
    assert f"WRONG  statement: {named}" in out


def test_subject_is_checked_by_the_salt(
    certificate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(certificate, "--key", KEY, "--subject", USER) == 0
    assert verify(certificate, "--key", KEY, "--subject", "somebody") == 1
    assert "about somebody else" in capsys.readouterr().out


def test_salt_may_be_taken_out_and_given_again(certificate: Path) -> None:
    bare = Certificate.decode(certificate.read_bytes()).without_salt()
    certificate.write_bytes(bare.encode())

    assert verify(certificate, "--key", KEY) == 0
    assert verify(certificate, "--key", KEY, "--subject", USER) == 2
    assert verify(certificate, "--key", KEY, "--subject", USER, "--salt", SALT.hex()) == 0


def test_the_layout_of_a_document_does_not_matter(certificate: Path) -> None:
    document = json.loads(certificate.read_bytes())
    for saved in (document, {"status": "completed", "certificate": document}):
        for layout in ({}, {"indent": 2}, {"ensure_ascii": False, "sort_keys": True}):
            certificate.write_text(json.dumps(saved, **layout))

            assert verify(certificate, "--key", KEY) == 0


@pytest.mark.parametrize(
    "arguments",
    [["missing.json"], [], ["--log", "x"], ["--key", KEY], ["certificate.json", "--key", "no+key"]],
)
def test_nothing_is_concluded_when_wrongly_used(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(certificate.parent)
    try:
        code = verify_lethe.main(arguments)
    except SystemExit as stop:  # argparse's own way out
        code = int(stop.code or 0)

    assert code == 2


def test_documents_name_nobody() -> None:
    for document in (make_certificate(), make_receipt()):
        assert USER.encode() not in document.encode()
    assert LeafKind.FORGET_COMPLETED.value.encode() in make_certificate().encode()
    assert ORIGIN.encode() in make_receipt().encode()
