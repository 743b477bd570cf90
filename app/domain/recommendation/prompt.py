"""The ranking prompt: what the LLM is shown, and how its labels lead back to items.

Every word of ours is in a ``PromptTemplate``. Memories and catalogue texts are written by others,
so they are shown as data: one line each inside a fence, made harmless by ``as_data`` and cut to a
length. Which line is which is told by labels of ours; an item id never reaches the model.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.domain.models import AttributeValue, Item, ItemId, Kind
from app.domain.recommendation.plain_text import as_data
from app.domain.recommendation.prompt_template import PromptTemplate

LABELS: Final = tuple(string.ascii_uppercase + string.ascii_lowercase)
"""52 labels, each one token in the vocabularies of today's models; checked at warm-up."""

TOP_SCORE: Final = 100
"""Largest score in the answer of form ``SCORES``; the smallest is 0."""


class AnswerForm(StrEnum):
    """How the model is asked to answer."""

    LABEL = "label"
    """The label of the best candidate; its log-probabilities rank them all."""
    SCORES = "scores"
    """A JSON object from label to a whole number, for servers that cannot mask a token."""


@dataclass(frozen=True, slots=True)
class PromptLimits:
    """How much of each text is shown, in characters; they bound the prompt's tokens.

    Args:
        memories: how many are shown at most, the first ones, >= 0; what limits them in practice
            is the budget of tokens that they are chosen within.
        memory_chars: of one memory, >= 1.
        title_chars: of an item's title, >= 1.
        facts_chars: of the attributes of a remembered item, >= 0.
        details_chars: of a candidate's attributes and description together, >= 0.
    """

    memories: int = 64
    memory_chars: int = 160
    title_chars: int = 96
    facts_chars: int = 48
    details_chars: int = 80


DEFAULT_LIMITS: Final = PromptLimits()


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ShownMemory:
    """A memory as the prompt needs it.

    Args:
        item: None for a free-text memory, or where the catalogue does not know it.
        value: of a rating.
        strength: how much it speaks for its item, 1 is neutral (``app.domain.memory.strengths``).
        text: the person's own words.
    """

    kind: Kind
    item: Item | None = None
    value: float | None = None
    strength: float = 1.0
    text: str | None = None


@dataclass(frozen=True, slots=True)
class RankingPrompt:
    """What is sent, and what each label stands for.

    Args:
        messages: system, then user.
        items: label to item, in the order shown.
    """

    messages: tuple[Message, ...]
    items: Mapping[str, ItemId]

    @property
    def texts(self) -> list[str]:
        """Return what is read."""
        return [message.content for message in self.messages]


def ranking_prompt(
    memories: Sequence[ShownMemory],
    *,
    candidates: Sequence[Item],
    template: PromptTemplate,
    seed: int,
    form: AnswerForm,
    labels: Sequence[str] = LABELS,
    limits: PromptLimits = DEFAULT_LIMITS,
) -> RankingPrompt:
    """Build the prompt that asks which of ``candidates`` suit a person with ``memories``.

    The order shown depends on ``seed`` and the item ids alone, so it does not give away the
    fused order, and the model's liking for early lines falls on other items with every seed.

    Args:
        memories: oldest first.
        candidates: best first, ids unique; those beyond ``len(labels)`` are not shown.
        template: the wording.
        seed: of the shuffle.
        form: how the model shall answer.
        labels: one character each, unique.
        limits: caps in characters.

    Raises:
        ValueError: no candidates, or an id twice.
    """
    shown = candidates[: len(labels)]
    if not shown or len({item.item_id for item in shown}) != len(shown):
        message = "a ranking prompt needs at least one candidate, and each only once"
        raise ValueError(message)
    labelled = dict(zip(labels, shown_order(shown, seed=seed), strict=False))
    lines = [
        *taste_lines(memories, template=template, limits=limits),
        template.items,
        *(
            f"{label}) {candidate_line(item, template=template, limits=limits)}"
            for label, item in labelled.items()
        ),
        template.end,
        template.ask_label if form is AnswerForm.LABEL else template.ask_scores,
    ]
    return RankingPrompt(
        messages=(Message("system", template.system), Message("user", "\n".join(lines))),
        items={label: item.item_id for label, item in labelled.items()},
    )


def shown_order(candidates: Sequence[Item], *, seed: int) -> list[Item]:
    """Return the shuffle of a seed: the same in every release of Python and numpy."""
    return sorted(
        candidates, key=lambda item: hashlib.sha256(f"{seed}:{item.item_id}".encode()).digest()
    )


def taste_lines(
    memories: Sequence[ShownMemory], *, template: PromptTemplate, limits: PromptLimits
) -> list[str]:
    """Return the fence and the memories behind it, a line each."""
    lines = [
        f"- {memory_line(memory, template=template, limits=limits)}"
        for memory in memories[: limits.memories]
    ]
    return [template.taste, *(lines or [template.nothing_known])]


def memory_line(memory: ShownMemory, *, template: PromptTemplate, limits: PromptLimits) -> str:
    """Return a memory in one line: what was done, the item, own words, attributes."""
    verb = template.verb(memory.kind, value=memory.value, strength=memory.strength)
    words = f'"{memory.text}"' if memory.text else ""
    if memory.item is None:
        return as_data(f"{verb}: {words}", max_chars=limits.memory_chars)
    title = title_line(memory.item, template=template, limits=limits)
    facts = as_data(_facts(memory.item), max_chars=limits.facts_chars)
    told = f"{verb}: {title} {words}".rstrip()
    return as_data(f"{told} | {facts}" if facts else told, max_chars=limits.memory_chars)


def candidate_line(item: Item, *, template: PromptTemplate, limits: PromptLimits) -> str:
    """Return a candidate in one line: title, attributes, description."""
    details = ". ".join(part for part in (_facts(item), item.description) if part)
    shown = as_data(details, max_chars=limits.details_chars)
    title = title_line(item, template=template, limits=limits)
    return f"{title} | {shown}" if shown else title


def title_line(item: Item, *, template: PromptTemplate, limits: PromptLimits) -> str:
    """Return an item's title in one line."""
    return as_data(item.title, max_chars=limits.title_chars) or template.untitled


def _facts(item: Item) -> str:
    facts = (_fact(name, value, title=item.title) for name, value in item.attributes.items())
    return "; ".join(fact for fact in facts if fact)


def _fact(name: str, value: AttributeValue, *, title: str) -> str:
    """Return an attribute in words; what a number or a truth means only its name says.

    A number that the title has already, such as a year, is not said twice.
    """
    if isinstance(value, bool):
        return name if value else ""
    if isinstance(value, int | float):
        return "" if str(value) in title else f"{name} {value}"
    return value if isinstance(value, str) else ", ".join(map(str, value))
