"""Receipts and certificates as values: round trips, refusals that name the field, the signature."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.system.signing import is_signed
from app.domain.canonical_json import canonical_json
from app.domain.certificates.certificate import Certificate
from app.domain.certificates.receipt import Receipt
from app.domain.certificates.signed_document import SignedDocumentError, SigningKey, commit_subject
from app.domain.certificates.statement import ProbeFinding, StoreCount
from app.domain.errors import InvalidInputError
from tests.audit_samples import (
    AT,
    SALT,
    SIGNER,
    USER,
    make_certificate,
    make_receipt,
    make_signer,
    make_statement,
    rotated,
)

SCHEMAS = Path(__file__).parents[4] / "app" / "data" / "schemas"
CERTIFICATE, RECEIPT = make_certificate(signer=rotated(SIGNER, 2)), make_receipt()


def test_documents_survive_the_round_trip() -> None:
    assert Certificate.decode(CERTIFICATE.encode()) == CERTIFICATE
    assert Receipt.decode(RECEIPT.encode()) == RECEIPT
    assert Certificate.decode(CERTIFICATE.without_salt().encode()).salt is None


def test_signature_covers_everything_but_the_salt() -> None:
    for document in (CERTIFICATE, RECEIPT, CERTIFICATE.without_salt(), RECEIPT.without_salt()):
        signature, fields = document.signature, json.loads(document.encode())
        kept = {name: fields[name] for name in fields.keys() - {"salt", "signature"}}
        name = kept["statement"]["format"]
        message = f"{name}\n".encode() + canonical_json(kept)
        assert is_signed(signature.key, signature.signature, message)


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ("certificate.v1.json", CERTIFICATE),
        ("certificate.v1.json", CERTIFICATE.without_salt()),
        ("receipt.v1.json", RECEIPT),
        ("receipt.v1.json", RECEIPT.without_salt()),
    ],
)
def test_documents_fit_their_published_schemas(
    schema: str, document: Certificate | Receipt
) -> None:
    published = json.loads((SCHEMAS / schema).read_text(encoding="utf-8"))
    validator = jsonschema_rs.Draft202012Validator(published)

    validator.validate(json.loads(document.encode()))
    damaged = json.loads(document.encode())
    damaged["statement"]["surprise"] = 1
    assert not validator.is_valid(damaged)


def leaves_of(value: object, path: str = "") -> list[str]:
    """Dotted paths of every field, objects and lists included."""
    inner: list[tuple[str, object]] = []
    if isinstance(value, dict):
        inner = [(str(name), each) for name, each in value.items()]
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        inner = [(str(number), each) for number, each in enumerate(value)]
    paths = [f"{path}.{name}" if path else name for name, _ in inner]
    return paths + [
        found for at, (_, each) in zip(paths, inner, strict=True) for found in leaves_of(each, at)
    ]


def changed(data: bytes, path: str, change: Callable[[dict[str, object], str], None]) -> bytes:
    document = json.loads(data)
    here = document
    *parents, name = path.split(".")
    for part in parents:
        here = here[int(part)] if isinstance(here, list) else here[part]
    change(here, name)
    return canonical_json(document)


FIELDS = [
    (document, path)
    for document in (CERTIFICATE, RECEIPT)
    for path in leaves_of(json.loads(document.encode()))
    if not path.split(".")[-1].isdigit()
]


@pytest.mark.parametrize(("document", "path"), FIELDS, ids=[path for _, path in FIELDS])
def test_a_missing_or_foreign_field_is_named(document: Certificate | Receipt, path: str) -> None:
    data = document.encode()

    def drop(parent: dict[str, object], name: str) -> None:
        del parent[name]

    def spoil(parent: dict[str, object], name: str) -> None:
        parent[name] = {"un": "expected"}

    def add(parent: dict[str, object], name: str) -> None:
        parent[f"{name}_"] = 1

    for change, named in ((drop, path), (spoil, path), (add, f"{path}_")):
        with pytest.raises(InvalidInputError) as caught:
            document.decode(changed(data, path, change))
        assert caught.value.errors[0].field.startswith(named.removesuffix("_"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("signature", "AAAA"),
        ("signature", "not base64"),
        ("key", "no key"),
        ("key_history", ["no note"]),
        ("key_history", [7]),
        ("proof.checkpoint", "no note"),
        ("proof.path", ["AAAA"]),
        ("proof.path", ["not base64"]),
        ("proof.index", -1),
        ("proof.index", True),
        ("salt", "00"),
        ("statement.subject.commitment", "AB" * 32),
        ("statement.probes.0.control_found", 1),
    ],
)
def test_a_value_of_the_wrong_form_is_named(path: str, value: object) -> None:
    def put(parent: dict[str, object], name: str) -> None:
        parent[name] = value

    with pytest.raises(InvalidInputError) as caught:
        Certificate.decode(changed(CERTIFICATE.encode(), path, put))
    assert caught.value.errors[0].field.startswith(path)


def test_what_is_no_document_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="document: not an object"):
        Certificate.decode(b"[]")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scope_kind": "some"}, "statement.scope_kind"),
        ({"completed_at": AT.replace(year=2025)}, "statement.completed_at"),
        ({"stores": ()}, "statement"),
        ({"probes": ()}, "statement"),
        ({"stores": (StoreCount("memory", 3, 1),)}, "statement.stores.0.after"),
        (
            {"probes": (ProbeFinding("memory", 1, 1, control_found=True, residue=2),)},
            "statement.probes.0.residue",
        ),
        (
            {"probes": (ProbeFinding("memory", 1, 1, control_found=False, residue=0),)},
            "statement.probes.0.control_found",
        ),
    ],
)
def test_what_is_no_erasure_cannot_be_stated(change: dict[str, object], field: str) -> None:
    values = {name: getattr(make_statement(), name) for name in make_statement().__slots__}

    with pytest.raises(InvalidInputError) as caught:
        type(make_statement())(**values | change)
    assert caught.value.errors[0].field == field


def test_receipt_cannot_be_due_before_it_is_received() -> None:
    with pytest.raises(InvalidInputError, match="due_at"):
        replace(RECEIPT.statement, due_at=AT)
    with pytest.raises(InvalidInputError, match="scope_kind"):
        replace(RECEIPT.statement, scope_kind="some")


def test_commitment_opens_for_the_user_and_the_salt_only() -> None:
    subject = commit_subject(USER, salt=SALT)

    assert commit_subject(USER, salt=SALT) == subject
    assert commit_subject("somebody", salt=SALT) != subject
    assert commit_subject(USER, salt=bytes(32)) != subject


def test_salt_is_refused_when_it_opens_nothing() -> None:
    with pytest.raises(SignedDocumentError, match="not the one"):
        replace(CERTIFICATE, salt=bytes(32))
    with pytest.raises(SignedDocumentError, match="32 bytes"):
        commit_subject(USER, salt=b"short")
    damaged = CERTIFICATE.encode().replace(SALT.hex().encode(), b"00" * 32)
    with pytest.raises(InvalidInputError, match="salt"):
        Certificate.decode(damaged)
    with pytest.raises(InvalidInputError, match="salt"):
        Receipt.decode(RECEIPT.encode().replace(SALT.hex().encode(), b"00" * 32))


def test_signer_that_uses_another_key_is_caught() -> None:
    mixed = SigningKey(SIGNER.key, (), make_signer(2).sign)

    with pytest.raises(SignedDocumentError, match="another key"):
        make_certificate(signer=mixed)


@given(st.text(max_size=30), st.integers(0, 2**53 - 1))
def test_any_text_and_count_survive(text: str, count: int) -> None:
    stores = (StoreCount(f"s{text}".replace("\ud800", ""), count, 0),)
    statement = replace(make_statement(), stores=stores)
    document = Certificate.issue(statement, proof=CERTIFICATE.proof, salt=None, signer=SIGNER)

    assert Certificate.decode(document.encode()).statement == statement
