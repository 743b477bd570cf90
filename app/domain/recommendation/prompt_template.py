"""The words of ours in a prompt, as data: one template a language, versioned and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields

from app.domain.models import Kind

_STRONG = 2.0**0.5
"""Strength of a rating half a standard deviation above the person's own mean."""
_WEAK = 0.5**0.5


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """The wording of every prompt in one language.

    Args:
        language: BCP 47, such as ``en``.
        version: raised with every change of wording.
        digest: SHA-256 of the file it was read from, as hex.
        system: the rules, before any data.
        taste: line that opens the memories.
        items: line that ends the memories and opens the candidates.
        end: line that ends the candidates.
        nothing_known: stands for no memories.
        untitled: stands for an empty title.
        ask_label: asks for the label of the best candidate.
        ask_scores: asks for a JSON object from label to whole number, 0 to 100.
        wanted: comes before the words that a person asks with.
        ask_reasons: asks why candidates suit, with the numbers of memories.
        loved: what a person did, before an item; the rest likewise.
    """

    language: str
    version: int
    digest: str
    system: str
    taste: str
    items: str
    end: str
    nothing_known: str
    untitled: str
    ask_label: str
    ask_scores: str
    wanted: str
    ask_reasons: str
    loved: str
    liked: str
    mixed: str
    disliked: str
    rated: str
    viewed: str
    bought: str
    said: str

    @property
    def template_id(self) -> str:
        """Name exactly this wording: language, version, first 12 digits of the hash."""
        return f"{self.language}-{self.version}-{self.digest[:12]}"

    def verb(self, kind: Kind, *, value: float | None, strength: float) -> str:
        """Return the word for what the person did.

        A rating is told by its distance from the person's own mean: a bare number means nothing
        to a model that does not know the scale.

        Args:
            kind: of the interaction.
            value: the rating; None where there is none.
            strength: as ``app.domain.memory.strengths`` gives it, 1 at the person's mean.
        """
        if kind is Kind.RATING and value is not None:
            if strength >= 1:
                return self.loved if strength >= _STRONG else self.liked
            return self.mixed if strength >= _WEAK else self.disliked
        return {
            Kind.RATING: self.rated,
            Kind.VIEW: self.viewed,
            Kind.PURCHASE: self.bought,
            Kind.LIKE: self.liked,
            Kind.DISLIKE: self.disliked,
            Kind.NOTE: self.said,
        }[kind]


def template_of(words: Mapping[str, object], *, source: bytes) -> PromptTemplate:
    """Return the template that a file holds.

    Args:
        words: the parsed file: every field of ``PromptTemplate`` but the digest, no other.
        source: the file's bytes, which are hashed.

    Raises:
        ValueError: a field is missing, unknown, or not of its type; texts have one line each.
    """
    expected = {field.name for field in fields(PromptTemplate)} - {"digest"}
    if words.keys() != expected:
        message = f"a prompt template needs just these fields: {', '.join(sorted(expected))}"
        raise ValueError(message)
    version = words["version"]
    texts = {name: text for name, text in words.items() if isinstance(text, str)}
    is_right = isinstance(version, int) and len(texts) == len(expected) - 1
    if not is_right or any(len(text.splitlines()) != 1 for text in texts.values()):
        message = "a prompt template has a whole number as version, and texts of one line"
        raise ValueError(message)
    digest = hashlib.sha256(source).hexdigest()
    return PromptTemplate(version=int(str(version)), digest=digest, **texts)
