"""What may be asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.models import ItemId, Kind, Pseudonym
from app.domain.recommendation.memory_selection import Strategy

EVERY_KIND: Final = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Boost:
    """Items that a filter lets pass count ``by`` times as much; 0.1 to 10."""

    where: object
    by: float


@dataclass(frozen=True, slots=True)
class Pin:
    """An item that is to stand at a position, from 1, whatever else is in the list."""

    item_id: ItemId
    position: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named preset. A query's own values go before it; both filters hold.

    Args:
        where: JSON document of a filter; None for none.
        boost: see ``Boost``.
        seen: kinds of interactions that hide their item from then on; empty for none.
        diversity: see ``RecommendQuery``.
        fill: see ``RecommendQuery``.
    """

    where: object = None
    boost: Sequence[Boost] = ()
    seen: frozenset[Kind] = EVERY_KIND
    diversity: float = 0.0
    fill: bool = True


@dataclass(frozen=True, slots=True)
class RecommendQuery:
    """One list.

    Args:
        pseudonym: whose; None for somebody who is not known.
        items: what an anonymous visitor touched in this session, newest first; not stored.
        text: what is looked for, in the visitor's own words; not stored.
        n: how many items, 1 to 100.
        where: JSON document of a filter; None for none.
        exclude: items that are not wanted.
        shown: items that the caller has shown lately; they come later in the list.
        seen: kinds of interactions that hide their item from then on; None for the scenario's.
        cursor: of the page before; None for the first.
        diversity: 0 for the most relevant list, 1 for the most varied one; None for the scenario's.
        boost: see ``Boost``; after the scenario's.
        pin: see ``Pin``.
        fill: whether what is merely popular, or there, completes the list; None for the scenario's.
        scenario: name of a preset; None for none.
        strategy: which memories the LLM is shown.
        explain: have the LLM say why, in a call of its own.
        personalise: False for the list of somebody who is not known (GDPR Art. 21).
    """

    pseudonym: Pseudonym | None = None
    items: Sequence[ItemId] = ()
    text: str | None = None
    n: int = 10
    where: object = None
    exclude: Collection[ItemId] = frozenset()
    shown: Collection[ItemId] = frozenset()
    seen: frozenset[Kind] | None = None
    cursor: str | None = None
    diversity: float | None = None
    boost: Sequence[Boost] = ()
    pin: Sequence[Pin] = ()
    fill: bool | None = None
    scenario: str | None = None
    strategy: Strategy = Strategy.ATTENTION
    explain: bool = False
    personalise: bool = True

    @property
    def has_usual_candidates(self) -> bool:
        """Whether nothing of it has a part in which items are candidates, but whose list it is."""
        unusual = (self.items, self.exclude, self.shown, self.boost)
        told = (self.text, self.where, self.seen, self.cursor, self.fill, self.scenario)
        return not any(unusual) and all(one is None for one in told)
