"""The certificate as a page to hand to a person.

In the domain, because the API, the console and the command line all hand it out, and none of
them may import another; it is a pure function of the certificate. The page is one file without
scripts or outside resources, so it can be mailed, printed and kept. ``STYLE_SOURCE`` lets a
strict Content-Security-Policy allow its one style element.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

from app.domain.certificates.certificate import Certificate
from app.domain.certificates.statement import CertificateStatement

STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
p.sum { font-size: 1.1rem; border-left: 4px solid #2a8a4a; padding-left: 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
code, pre { font: .85rem/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .8rem; white-space: pre-wrap; border-radius: 4px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; } h2 { break-after: avoid; } }
"""
STYLE_SOURCE: Final = (
    f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
"""What ``style-src`` has to list for the page to look as it should."""
_SCOPES: Final = {
    "all": "everything held about one person",
    "items": "what was held about one person and certain items",
    "topic": "what was held about one person and a topic",
    "period": "what was held about one person from a certain time",
    "events": "certain events held about one person",
}


def certificate_page(certificate: Certificate) -> str:
    """Return the page, HTML 5 in UTF-8. Says nothing that the certificate does not say."""
    statement = certificate.statement
    body = "\n".join(
        (
            "<h1>Certificate of erasure</h1>",
            f"<p>Request <code>{escape(statement.request_id)}</code></p>",
            f'<p class="sum">{escape(_summary(statement))}</p>',
            _times(statement),
            _stores(statement),
            _probes(statement),
            _limits(statement),
            _evidence(certificate),
        )
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Certificate of erasure {escape(statement.request_id[:8])}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _summary(statement: CertificateStatement) -> str:
    n_erased = sum(store.before for store in statement.stores)
    n_bytes = sum(probe.scanned_bytes for probe in statement.probes)
    return (
        f"{_count(n_erased, 'record')} erased from {_count(len(statement.stores), 'store')}: "
        f"{_SCOPES[statement.scope_kind]}. Afterwards {_size(n_bytes)} of the stores' raw bytes "
        "were searched for what had been there. Nothing was found, and the search found the "
        "marks that had been planted to test it."
    )


def _times(statement: CertificateStatement) -> str:
    rows = (
        ("Received", statement.received_at),
        ("Completed", statement.completed_at),
        ("Was due by", statement.due_at),
    )
    entries = "".join(f"<dt>{name}</dt><dd>{escape(_time(moment))}</dd>" for name, moment in rows)
    return f"<h2>When</h2>\n<dl>{entries}</dl>"


def _stores(statement: CertificateStatement) -> str:
    rows = [(store.store, str(store.before), str(store.after)) for store in statement.stores]
    return "<h2>What was erased</h2>\n" + _table(("Store", "Records before", "After"), rows)


def _probes(statement: CertificateStatement) -> str:
    rows = [
        (
            probe.store,
            str(probe.needles),
            _size(probe.scanned_bytes),
            "found" if probe.control_found else "not found",
            str(probe.residue),
        )
        for probe in statement.probes
    ]
    head = ("Store", "Patterns searched", "Bytes read", "Planted marks", "Residue")
    state = (
        f"<p>State of the recommender before <code>{statement.state_before.hex()}</code>, "
        f"after <code>{statement.state_after.hex()}</code>.</p>"
    )
    return f"<h2>What the search found</h2>\n{_table(head, rows)}\n{state}"


def _limits(statement: CertificateStatement) -> str:
    items = "".join(f"<li>{escape(limit.text)}</li>" for limit in statement.limits)
    return f"<h2>What this does not cover</h2>\n<ul>{items}</ul>"


def _evidence(certificate: Certificate) -> str:
    checkpoint = escape(certificate.proof.checkpoint.encode())
    key = escape(certificate.signature.key.encode())
    return (
        "<h2>How to check it</h2>\n"
        "<p>This page is for reading; what counts is the file <code>certificate.json</code> that "
        "came with it. Get the service's public key from somewhere you trust, and run</p>\n"
        "<pre>python verify_lethe.py certificate.json --key KEY</pre>\n"
        f"<p>It should be this key, or one that it follows from: <code>{key}</code></p>\n"
        f"<p>Leaf {certificate.proof.index} of the audit log records it, under this signed "
        f"checkpoint:</p>\n<pre>{checkpoint}</pre>"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    titles = "".join(
        f'<th scope="col"{_align(column)}>{escape(title)}</th>' for column, title in enumerate(head)
    )
    lines = "".join(
        "<tr>"
        + "".join(f"<td{_align(column)}>{escape(value)}</td>" for column, value in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"


def _align(column: int) -> str:
    return ' class="n"' if column else ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(n_bytes: int) -> str:
    value, unit = float(n_bytes), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:  # noqa: PLR2004 - the binary step between these units
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%-d %B %Y, %H:%M:%S UTC")
