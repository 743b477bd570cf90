"""The exported form of the audit log: one leaf a line, to be checked by anyone."""

from __future__ import annotations

from app.domain.audit.entries import StoredLeaf
from app.domain.canonical_json import canonical_json


def export_line(leaf: StoredLeaf) -> bytes:
    """Return the line of one leaf: canonical JSON and a line feed.

    The body stands in it as a string, byte for byte as it was hashed.
    """
    line = {"leaf": leaf.body.decode(), "leaf_hash": leaf.leaf_hash.hex(), "seq": leaf.seq}
    return canonical_json(line) + b"\n"
