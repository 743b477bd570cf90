"""Numbered logs: what goes on where a log cannot be continued, because a backup was restored.

A log's name is its origin. The first log is named ``lethe.example/log``; what follows it,
``lethe.example/log/2-1c9e04ab``: its number, and eight random hex digits, so that two restores of
one backup never give two logs of one name. A successor keeps the leaves that are there, and the
first leaf of its own names the last checkpoint of the log before, so a reader can tell which leaves
were lost, and no name ever has two histories.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from app.domain.audit.checkpoint import Checkpoint, SignedNote
from app.domain.audit.entries import LeafKind, LeafValue, StoredLeaf
from app.domain.errors import IntegrityError

_SUCCESSOR: Final = re.compile(r"/([1-9][0-9]{0,8})-[0-9a-f]{8}", re.ASCII)


class Why(StrEnum):
    """Why a log was not continued."""

    RESTORED = "restored"
    """The database is older than the newest checkpoint that was kept outside of it."""
    COPIED = "copied"
    """The signing key does not lie where it was settled: a copy of it may go on elsewhere."""
    WITNESSED = "witnessed"
    """A witness has seen a larger log."""


def number_of(origin: str, *, base: str) -> int:
    """Return the number of the log named ``origin``, 1 for the first.

    Args:
        origin: a log's name.
        base: name of the first log.

    Raises:
        IntegrityError: it is another service's log.
    """
    if origin == base:
        return 1
    match = _SUCCESSOR.fullmatch(origin.removeprefix(base))
    if match is None or not origin.startswith(base):
        raise IntegrityError(f"the log is named {origin}, and the settings say {base}")
    return int(match[1])


def origin_of(number: int, *, base: str, tag: str) -> str:
    """Return the name of log ``number`` (from 2); ``tag`` is eight random hex digits."""
    return f"{base}/{number}-{tag}"


@dataclass(frozen=True, slots=True)
class Succession:
    """What the first leaf of a successor says.

    Args:
        origin: the successor.
        why: what happened.
        old: newest checkpoint that is known of the log before.
        old_size: how many leaves that log had been seen with; ``old.size`` or more.
        kept: how many of them the successor begins with.
    """

    origin: str
    why: str
    old: SignedNote
    old_size: int
    kept: int

    def payload(self) -> dict[str, LeafValue]:
        """Return the leaf's payload."""
        return {
            "kept": self.kept,
            "old_checkpoint": self.old.encode(),
            "old_size": self.old_size,
            "origin": self.origin,
            "why": self.why,
        }

    @property
    def old_origin(self) -> str:
        """The log before."""
        return Checkpoint.parse(self.old.text).origin

    @classmethod
    def parse(cls, leaf: StoredLeaf) -> Self:
        """Read a leaf of the kind ``log.succeeded``.

        Raises:
            IntegrityError: it is not one.
        """
        try:
            body = json.loads(leaf.body)
            told = body["payload"]
            if body["kind"] == LeafKind.LOG_SUCCEEDED:
                old = SignedNote.parse(told["old_checkpoint"])
                return cls(told["origin"], told["why"], old, told["old_size"], told["kept"])
        except (ValueError, TypeError, KeyError):
            pass
        raise IntegrityError(f"leaf {leaf.seq} does not tell of a successor")
