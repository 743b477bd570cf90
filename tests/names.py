"""Pseudonyms that a test can read."""

from __future__ import annotations

import hashlib

from app.domain.models import Pseudonym


def called(name: str) -> Pseudonym:
    """Return somebody's pseudonym, the same for the same name."""
    return Pseudonym(hashlib.sha256(name.encode()).hexdigest())
