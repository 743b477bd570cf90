"""How an interaction becomes a memory: the text that is embedded, and the one that is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from app.domain.models import HistoryEntry, Interaction, Item, Kind

_VERBS: Final = {
    Kind.VIEW: "Viewed",
    Kind.PURCHASE: "Bought",
    Kind.LIKE: "Liked",
    Kind.DISLIKE: "Disliked",
    Kind.NOTE: "Said",
}
_EMBEDDED_DESCRIPTION_CHARS: Final = 512


def describe_item(item: Item) -> str:
    """Return the text an item is embedded as: title, description, attributes."""
    facts = [fact for value in item.attributes.values() for fact in _strings(value)]
    parts = [item.title, item.description[:_EMBEDDED_DESCRIPTION_CHARS], ", ".join(facts)]
    return ". ".join(part for part in parts if part)


def _strings(value: object) -> list[str]:
    """Return the words of an attribute; numbers say nothing to a text embedder."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Sequence):
        return [part for part in value if isinstance(part, str)]
    return []


def embedded_text(interaction: Interaction, item: Item | None) -> str:
    """Return the text a memory is embedded as: the item, then the user's own words.

    The verb and value are left out: they would move every vector the same way, and without
    them all memories of one item and no words share one vector, which is computed once.
    """
    parts = [describe_item(item)] if item else []
    if interaction.text:
        parts.append(interaction.text)
    return "\n".join(parts)


def render_memory(*, kind: Kind, item: Item | None, value: float | None, text: str | None) -> str:
    """Return the one-line document of a memory, as shown to the LLM and kept in the store."""
    words = f' "{" ".join(text.split())}"' if text else ""
    if item is None:
        return f"{_VERBS.get(kind, 'Rated')}{words}"
    if kind is Kind.RATING and value is not None:
        return f"Rated {value:g}: {item.title}{words}"
    return f"{_VERBS.get(kind, 'Rated')}: {item.title}{words}"


def newest_first(history: Sequence[HistoryEntry]) -> list[HistoryEntry]:
    """Return a history in an order that only what it says decides, not ids that were drawn."""
    told = sorted(
        history, key=lambda one: (one.item_id or "", one.kind, one.value or 0.0, one.text or "")
    )
    told.sort(key=lambda one: one.occurred_at, reverse=True)  # stable: moments shared keep it
    return told


class _Rated(Protocol):
    @property
    def kind(self) -> Kind: ...

    @property
    def value(self) -> float | None: ...


_STRENGTH: Final = {
    Kind.VIEW: 1.0,
    Kind.PURCHASE: 1.5,
    Kind.LIKE: 2.0,
    Kind.NOTE: 2.0,
    Kind.DISLIKE: 0.25,
}


def strengths(history: Sequence[_Rated]) -> list[float]:
    """Return how much each memory speaks for its item, in [0.25, 4]; 1 is neutral.

    A rating counts by its distance from the user's own mean, in standard deviations: one
    deviation above doubles it. People use scales differently, and only their own is fair.
    """
    ratings = [
        entry.value for entry in history if entry.kind is Kind.RATING and entry.value is not None
    ]
    mean = sum(ratings) / len(ratings) if ratings else 0.0
    variance = sum((value - mean) ** 2 for value in ratings) / len(ratings) if ratings else 0.0
    deviation = variance**0.5 or 1.0
    return [
        min(4.0, max(0.25, 2.0 ** ((entry.value - mean) / deviation)))
        if entry.kind is Kind.RATING and entry.value is not None
        else _STRENGTH.get(entry.kind, 1.0)
        for entry in history
    ]
