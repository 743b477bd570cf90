"""The certificate as a page: whole, without script or outside resource, and nobody in it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from html.parser import HTMLParser

from app.console.certificate_page import STYLE_SOURCE, certificate_page
from app.domain.certificates.certificate import Certificate
from app.domain.certificates.statement import Limit, ProbeFinding, StoreCount
from tests.audit_samples import SALT, SIGNER, USER, make_certificate

CERTIFICATE = make_certificate()
PAGE = certificate_page(CERTIFICATE)
VOID = {"meta"}


class Outline(HTMLParser):
    """Collects tags and text; fails where tags are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def outline(page: str) -> Outline:
    parsed = Outline()
    parsed.feed(page)
    parsed.close()
    assert parsed.open == []
    return parsed


def test_page_says_what_the_certificate_says() -> None:
    text = " ".join(outline(PAGE).texts)

    assert "428 records erased from 2 stores" in text
    assert "15.0 MiB of the stores' raw bytes" in text
    assert "31 January 2026, 12:00:00 UTC" in text
    assert CERTIFICATE.statement.request_id in text
    assert CERTIFICATE.statement.state_after.hex() in text
    assert CERTIFICATE.proof.checkpoint.text in text
    assert SIGNER.key.encode() in text
    for limit in CERTIFICATE.statement.limits:
        assert limit.text in text


def test_page_names_nobody_and_gives_no_salt_away() -> None:
    assert USER not in PAGE
    assert SALT.hex() not in PAGE


def test_page_needs_nothing_from_outside_and_runs_nothing() -> None:
    parsed = outline(PAGE)

    assert {tag for tag, _ in parsed.tags}.isdisjoint({"script", "link", "img", "iframe", "a"})
    for _, attributes in parsed.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert not {"src", "href"} & attributes.keys()


def test_style_is_the_one_that_the_policy_allows() -> None:
    style = PAGE.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"'sha256-{digest}'" == STYLE_SOURCE


def test_markup_in_a_certificate_stays_text() -> None:
    evil = "<script>alert(1)</script>&\"'"
    statement = replace(
        CERTIFICATE.statement,
        stores=(StoreCount(evil, 1, 0),),
        probes=(ProbeFinding(evil, 1, 1, control_found=True, residue=0),),
        limits=(Limit("x", evil),),
    )
    page = certificate_page(
        Certificate.issue(statement, proof=CERTIFICATE.proof, salt=None, signer=SIGNER)
    )

    parsed = outline(page)
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert parsed.texts.count(evil) == 3
    assert "1 record erased from 1 store:" in page
    assert "1 bytes" in page
