"""The audit log's entries: content-free facts about what the service did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from app.domain.access import actor
from app.domain.errors import IntegrityError
from app.domain.models import RequestId

LeafValue = str | int | float | bool | None


class LeafKind(StrEnum):
    """What happened."""

    FORGET_RECEIVED = "forget.received"
    FORGET_SUPPRESSED = "forget.suppressed"
    FORGET_ERASING = "forget.erasing"
    FORGET_SCRUBBED = "forget.scrubbed"
    FORGET_VERIFYING = "forget.verifying"
    FORGET_COMPLETED = "forget.completed"
    FORGET_FAILED = "forget.failed"
    FORGET_HELD = "forget.on_hold"
    FORGET_RELEASED = "forget.released"
    FORGET_REJECTED = "forget.rejected"
    FORGET_EXTENDED = "forget.extended"
    ACCESS_GRANTED = "access.granted"
    ACCESS_ENDED = "access.ended"
    AUDIT_READ = "audit.read"
    KEY_ROTATED = "key.rotated"
    LOG_RECOVERED = "log.recovered"
    LOG_SUCCEEDED = "log.succeeded"
    PROBE_REPEATED = "probe.repeated"
    RESTORE_FOUND = "restore.found"
    SERVICE_STARTED = "service.started"
    RIGHT_EXERCISED = "right.exercised"
    USER_HELD = "user.held"
    USER_PROVED = "user.proved"
    USER_RETURNED = "user.returned"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry of the audit log, before it has a place in it.

    Args:
        payload: flat facts; counts, codes, times. Never a user id, a pseudonym or content.
    """

    kind: LeafKind
    at: datetime
    request_id: RequestId | None
    payload: Mapping[str, LeafValue]

    def canonical(self) -> bytes:
        """Return the bytes that are hashed: JSON, sorted keys, no white space, UTF-8."""
        body = {
            "at": self.at.isoformat(),
            "kind": self.kind.value,
            "payload": dict(self.payload),
            "request_id": self.request_id,
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read what ``canonical`` wrote.

        Raises:
            IntegrityError: it is not that.
        """
        try:
            read = json.loads(body)
            at, kind = datetime.fromisoformat(read["at"]), LeafKind(read["kind"])
            leaf = cls(kind, at, read["request_id"], dict(read["payload"]))
            if leaf.canonical() == body:
                return leaf
        except (ValueError, TypeError, KeyError):
            pass
        raise IntegrityError("not a leaf of this version's audit log")


def by_actor(leaf: Leaf) -> Leaf:
    """Return the leaf with the name of the member of staff who acts, if one does."""
    name = actor.get()
    return leaf if name is None else replace(leaf, payload={**leaf.payload, "by": name})


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """An entry with its place.

    Args:
        seq: 0-based index in the log, gapless.
        body: the canonical bytes as appended.
        leaf_hash: RFC 9162 leaf hash, 32 bytes: SHA-256(0x00 || body).
    """

    seq: int
    body: bytes
    leaf_hash: bytes
