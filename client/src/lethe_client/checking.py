"""Checking what the service signed; offline, by the service's own one-file verifier."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lethe_client import verify_lethe


@dataclass(frozen=True)
class Checked:
    """What was checked.

    Args:
        is_verified: everything held, and a key that you gave vouches for it.
        lines: each check with its outcome, for people.
    """

    is_verified: bool
    lines: tuple[str, ...]


def verify(
    document: Mapping[str, Any] | bytes,
    *,
    keys: Sequence[str],
    user: str | None = None,
    salt: str | None = None,
) -> Checked:
    """Check a receipt or a certificate.

    Args:
        document: as it came in an answer; bytes are held to the one form that is signed.
        keys: the service's public keys (``name+id+base64``), from another source than the document.
        user: check that it is about this user, too.
        salt: of the receipt, needed for ``user`` where the document has none.

    Raises:
        ValueError: a key is no key, or none was given.
    """
    if not keys:
        raise ValueError("without a key nobody can tell who signed")
    try:
        pinned = [verify_lethe.parse_key(key) for key in keys]
    except verify_lethe.Wrong as error:
        raise ValueError(str(error)) from None
    data = document if isinstance(document, bytes) else _canonical(document)
    report = verify_lethe.verify_document(data, pinned=pinned, subject=user, salt=salt)
    return Checked(report.n_wrong == 0, tuple(report.lines))


def _canonical(document: Mapping[str, Any]) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()
