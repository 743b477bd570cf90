"""What is told of a request to registered addresses, and how it is signed (GDPR Art. 19).

The fields are those of an OpenDSR 1.0 callback, and ours. Nothing of a user's is in them but the
caller's own number of the request.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from typing import Final

from app.domain.audit.entries import LeafKind
from app.domain.erasure.request import STATE_OF_LEAF, ErasureRequest, RequestState

SIGNATURE: Final = "Lethe-Signature"
TOLD: Final = frozenset({*STATE_OF_LEAF, LeafKind.FORGET_EXTENDED})
"""Leaves that are told of."""
_OPENDSR: Final = {
    RequestState.SUPPRESSED: "pending",
    RequestState.ON_HOLD: "pending",
    RequestState.COMPLETED: "completed",
    RequestState.REJECTED: "cancelled",
}
"""OpenDSR's word for a state; ``in_progress`` for the others."""


def callback(
    request: ErasureRequest, kind: LeafKind, *, seq: int, at: datetime, base_url: str
) -> bytes:
    """Return the body for a leaf about a request, as JSON.

    Args:
        request: as it stands now.
        kind: of the leaf; its state is told, which the request may have left since.
        seq: the leaf's number: grows from callback to callback, and tells repeats apart.
        at: when it happened.
        base_url: where callers reach the service; empty for paths.
    """
    state = STATE_OF_LEAF.get(kind, request.state)
    status_url = f"{base_url}/forget/{request.request_id}"
    is_done = state is RequestState.COMPLETED
    body = {
        "subject_request_id": request.subject_request_id,
        "request_status": _OPENDSR.get(state, "in_progress"),
        "expected_completion_time": request.due_at.isoformat(),
        "status_callback_url": status_url,
        "results_url": f"{status_url}/certificate" if is_done else None,
        "request_id": request.request_id,
        "event": kind.value,
        "status": state.value,
        "at": at.isoformat(),
        "seq": seq,
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def signature(body: bytes, *, at: datetime, secret: bytes) -> str:
    """Return the header's value: the time in seconds, and HMAC-SHA-256 over time, dot and body.

    A receiver computes it again, compares in constant time, and refuses an old time.
    """
    moment = str(int(at.timestamp()))
    signed = hmac.new(secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={signed}"
