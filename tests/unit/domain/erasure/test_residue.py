from __future__ import annotations

import base64
import json
import secrets

import numpy as np
import pytest

from app.domain.erasure.residue import Finding, NeedleKind, Needles, ProbeReport, patterns


def datas(needles: Needles) -> set[bytes]:
    return {pattern.data for pattern in patterns(needles)}


def test_texts_are_searched_whole_and_as_json() -> None:
    text = 'Ich liebe "Die Vögel" von Hitchcock, ' * 3

    found = datas(Needles(texts=(text,)))

    assert found == {text.encode(), json.dumps(text)[1:-1].encode()}


def test_a_part_is_enough_when_a_document_is_cut_anywhere() -> None:
    document = secrets.token_urlsafe(120)
    found = datas(Needles(documents=(document,)))

    for cut in range(len(document) - 63):
        page = document[cut : cut + 63].encode()
        assert any(data in page for data in found), cut


def test_a_part_is_enough_when_a_vector_is_cut_at_any_float() -> None:
    vector = np.random.default_rng(3).standard_normal(64).astype(np.float32)
    found = datas(Needles(vectors=(vector,)))

    for stored in (vector, vector / np.linalg.norm(vector)):
        raw = stored.astype("<f4").tobytes()
        for cut in range(0, len(raw) - 124, 4):
            assert any(data in raw[cut : cut + 124] for data in found), cut


def test_zeros_are_not_searched_for() -> None:
    assert patterns(Needles(vectors=(np.zeros(64, dtype=np.float32),))) == []


def test_hexadecimal_ids_are_searched_in_binary_too() -> None:
    record_id, pseudonym = secrets.token_hex(16), secrets.token_hex(32)

    found = datas(Needles(ids=(record_id, "not hexadecimal"), pseudonyms=(pseudonym,)))

    assert {record_id.encode(), bytes.fromhex(record_id), b"not hexadecimal"} <= found
    assert {pseudonym.encode(), bytes.fromhex(pseudonym)} <= found


@pytest.mark.parametrize("before", [b"", b"x", b"xy"])
def test_keys_are_searched_in_every_encoding(before: bytes) -> None:
    key = secrets.token_bytes(32)
    found = datas(Needles(keys=(key,)))

    holders = [key, key.hex().encode(), base64.b64encode(key), base64.urlsafe_b64encode(key)]

    assert all(any(data in before + holder for data in found) for holder in holders)
    assert any(data in base64.b64encode(key + before) for data in found)


def test_nothing_is_searched_that_is_met_by_chance() -> None:
    assert patterns(Needles(texts=("ok",), ids=("1234567",))) == []


def test_kinds_are_counted() -> None:
    needles = Needles(texts=("a",), ids=("b", "c"), keys=(b"d",))

    assert [needles.count(kind) for kind in NeedleKind] == [1, 0, 2, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("findings", "control_found", "is_clean"),
    [
        ((), True, True),
        ((), False, False),
        ((Finding(NeedleKind.ID, "a.log", 2), Finding(NeedleKind.TEXT, "b", 1)), True, False),
    ],
)
def test_clean_needs_a_found_control(
    findings: tuple[Finding, ...], *, control_found: bool, is_clean: bool
) -> None:
    left = tuple((finding.kind, finding.needles) for finding in findings)
    report = ProbeReport("logs", 1, 10, 4, findings, left, control_found, 0.1)

    assert report.is_clean is is_clean
    assert report.residue == sum(n for _, n in left)
