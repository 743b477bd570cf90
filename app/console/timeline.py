"""The timeline of one request, from its leaves and its journal, and the actions on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.domain.audit.entries import StoredLeaf
from app.domain.erasure.request import (
    FINAL,
    TRANSITIONS,
    ErasureRequest,
    RequestState,
    StepRecord,
)

_HIDDEN_FACTS: Final = frozenset({"statement", "subject"})
"""Digests in a leaf of completion; the certificate is shown for them."""


@dataclass(frozen=True, slots=True)
class LeafView:
    """A leaf as a reader sees it.

    Args:
        kind: "unreadable" for a body that is no leaf's: somebody changed it.
        facts: name and value of what it says.
    """

    seq: int
    kind: str
    at: datetime | None
    request_id: str | None
    facts: Sequence[tuple[str, str]]
    leaf_hash: str

    @classmethod
    def of(cls, leaf: StoredLeaf) -> LeafView:
        """Read a leaf; a body that cannot be read is shown as it is."""
        hashed = leaf.leaf_hash.hex()
        try:
            body = json.loads(leaf.body)
            return cls(
                seq=leaf.seq,
                kind=str(body["kind"]),
                at=datetime.fromisoformat(body["at"]),
                request_id=body["request_id"],
                facts=[(str(name), str(value)) for name, value in body["payload"].items()],
                leaf_hash=hashed,
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            text = leaf.body.decode(errors="replace")
            return cls(leaf.seq, "unreadable", None, None, [("body", text)], hashed)


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the timeline: a change of state (``step`` is None) or a finished step."""

    at: datetime
    after_s: float
    state: str | None = None
    facts: Sequence[tuple[str, str]] = ()
    leaf_seq: int | None = None
    step: StepRecord | None = None


def events(
    request: ErasureRequest, *, leaves: Sequence[LeafView], steps: Sequence[StepRecord]
) -> list[Event]:
    """Return what happened, in order; a step that ended in the same moment comes first."""
    start = request.received_at
    moves = [
        Event(
            leaf.at,
            (leaf.at - start).total_seconds(),
            state=leaf.kind.removeprefix("forget."),
            facts=[fact for fact in leaf.facts if fact[0] not in _HIDDEN_FACTS],
            leaf_seq=leaf.seq,
        )
        for leaf in leaves
        if leaf.at is not None
    ]
    done = [
        Event(one.finished_at, (one.finished_at - start).total_seconds(), step=one) for one in steps
    ]
    return sorted([*done, *moves], key=lambda event: (event.at, event.leaf_seq or -1))


@dataclass(frozen=True, slots=True)
class Action:
    """An action of an administrator, and its consequence."""

    name: str
    verb: str
    consequence: str


_ACTIONS: Final = {
    "retry": Action(
        "retry",
        "Retry",
        "A worker goes on with it where it stopped. The cause of the failure should be gone.",
    ),
    "hold": Action(
        "hold",
        "Put on hold",
        "Nothing is erased until it is released or rejected. The data stay suppressed: no "
        "recommendation uses them meanwhile.",
    ),
    "release": Action("release", "Release", "The erasure goes on at once, and cannot be undone."),
    "reject": Action(
        "reject",
        "Reject",
        "Nothing is erased, and the data come back into use at once. The person has to be told "
        "why, and where to complain (GDPR Art. 12(4)). This is final.",
    ),
    "extend": Action(
        "extend",
        "Extend",
        "The due date moves by two further months, once, and only before it is due. The person "
        "has to have been told, and why (GDPR Art. 12(3)).",
    ),
    "note": Action(
        "note",
        "Note",
        "Words of yours about this request, kept encrypted until it is over and then deleted.",
    ),
}
_TARGETS: Final = {
    "hold": RequestState.ON_HOLD,
    "reject": RequestState.REJECTED,
}


def actions(request: ErasureRequest, *, now: datetime) -> list[Action]:
    """Return what may be done with a request as it stands."""
    state = request.state
    names = [name for name, target in _TARGETS.items() if (state, target) in TRANSITIONS]
    if state is RequestState.FAILED:
        names.append("retry")
    if state is RequestState.ON_HOLD:
        names.append("release")
    if state not in FINAL and request.extension is None and now < request.due_at:
        names.append("extend")
    if state not in FINAL:
        names.append("note")
    return [action for name, action in _ACTIONS.items() if name in names]
