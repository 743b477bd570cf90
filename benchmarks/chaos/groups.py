"""A world in which one look at a list tells whether it rests on a forgotten user.

Users come in groups that share items with nobody outside. In each, one user will be forgotten and
has, besides what the group shares, an item of their own: the marker. An asker has only what is
shared, and two others have one shared item each and three fillers. While the first user is known,
the marker goes with all that the asker has and leads the asker's list; once they are forgotten
nobody has it, and the six fillers come before anything that nobody has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.models import ItemId, Pseudonym
from app.domain.privacy.pseudonyms import Identity
from tests.e2e.calls import Api, Json
from tests.e2e.processes import PEPPER

ASKED: Final = 5
"""Items asked for: fewer than the fillers."""
_SHARED: Final = 3
_FILLERS: Final = 6
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Group:
    """Four users and their items, by the number of the group.

    Args:
        is_whole: the first user is forgotten altogether, not only the marker.
    """

    n: int
    is_whole: bool

    @property
    def leaver(self) -> str:
        """Return the user who is forgotten, or loses the marker."""
        return f"leaver-{self.n:04}@example.org"

    @property
    def asker(self) -> str:
        """Return the user whose list shows it."""
        return f"asker-{self.n:04}@example.org"

    @property
    def marker(self) -> str:
        """Return the item that only the leaver has."""
        return f"marker-{self.n:04}"

    def items(self) -> dict[str, list[str]]:
        """Return everybody's items at first."""
        shared = [f"shared-{self.n:04}-{one}" for one in range(_SHARED)]
        fillers = [f"filler-{self.n:04}-{one}" for one in range(_FILLERS)]
        half = _FILLERS // 2
        return {
            self.leaver: [*shared, self.marker],
            self.asker: shared,
            f"one-{self.n:04}@example.org": [shared[0], *fillers[:half]],
            f"two-{self.n:04}@example.org": [shared[0], *fillers[half:]],
        }

    def left(self) -> dict[str, list[str]]:
        """Return everybody's items after the forget."""
        found = self.items()
        if self.is_whole:
            del found[self.leaver]
        else:
            found[self.leaver].remove(self.marker)
        return found

    def scope(self) -> Json:
        """Return what the leaver asks to be forgotten."""
        return {"kind": "all"} if self.is_whole else {"kind": "items", "item_ids": [self.marker]}


def load(api: Api, groups: Sequence[Group]) -> None:
    """Send the catalogue and what everybody did."""
    histories = [group.items() for group in groups]
    items = sorted({item for one in histories for row in one.values() for item in row})
    events = [
        {
            "event_id": f"{user}-{item}",
            "user": user,
            "item_id": item,
            "kind": "like",
            "occurred_at": f"2026-01-05T10:00:{second:02}Z",
        }
        for one in histories
        for user, row in one.items()
        for second, item in enumerate(row)
    ]
    for start in range(0, len(items), _BATCH):
        named = [{"item_id": item, "title": item} for item in items[start : start + _BATCH]]
        api.ask("POST", "/items", json=named)
    for start in range(0, len(events), _BATCH):
        api.ask("POST", "/interactions", json=events[start : start + _BATCH])


def expected(groups: Sequence[Group]) -> dict[Pseudonym, list[ItemId]]:
    """Return the state that must be left once every group's forget is done, newest items first."""
    identity = Identity(PEPPER.encode())
    return {
        identity.pseudonym(user): [ItemId(item) for item in reversed(row)]
        for group in groups
        for user, row in group.left().items()
    }
